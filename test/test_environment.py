# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Caches where there is no home folder, or nothing can be written: never a traceback, at most a line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from environment_helpers import STRANGER, as_user, bare, in_namespace, open_folder, read_only

from dcfm_ros import environment

# Compiles a small function for numba, and tells where caches lie.
SEGMENT = """
import numpy as np
from dcfm_ros.pipeline.backends.network_cache import user_cache
from dcfm_ros.sources.synthetic.camera import bring_forward
assert bring_forward(np.ones((2, 3), np.float32))
print(user_cache("openvino"))
"""


def run(command, folder, **variables):
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=180,
        cwd=folder,
        env=bare(PYTHONDONTWRITEBYTECODE="1", **variables),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.splitlines()


@pytest.fixture
def temporary(tmp_path):
    return open_folder(tmp_path / "täglich")


@pytest.fixture
def fresh(monkeypatch, temporary):
    """`environment` as in a new process whose temporary folder is `temporary`."""
    monkeypatch.setattr(environment.tempfile, "tempdir", str(temporary))
    environment.temporary_folder.cache_clear()
    yield environment
    environment.temporary_folder.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, {"HOME": "/nonexistent/home"}, {"HOME": "/root"}])
def test_without_a_home_caches_go_to_the_temporary_folder(temporary, variables):
    command = as_user([sys.executable, "-c", SEGMENT])
    output, errors = run(command, temporary, TMPDIR=str(temporary), **variables)
    place = temporary / f"dcfm_ros-{STRANGER}"
    assert output == str(place / "cache" / "dcfm_ros" / "openvino")
    assert len(errors) == 1 and f"caches go to {place}" in errors[0] and "XDG_CACHE_HOME" in errors[0]
    assert place.stat().st_mode & 0o777 == 0o700 and place.stat().st_uid == STRANGER
    assert list(place.rglob("*.nbi")), "numba has kept nothing"
    assert not (temporary / "~").exists()


@pytest.mark.slow
def test_a_cache_folder_of_the_users_own_is_used_in_silence(temporary):
    cache = temporary / "mine"
    cache.mkdir()
    os.chown(cache, STRANGER, STRANGER)
    output, errors = run(as_user([sys.executable, "-c", SEGMENT]), temporary, XDG_CACHE_HOME=str(cache))
    assert (output, errors) == (str(cache / "dcfm_ros" / "openvino"), [])


@pytest.mark.slow
def test_where_nothing_can_be_written_all_works_without_caches(tmp_path):
    command = in_namespace(read_only(but="/dev/shm"), as_user([sys.executable, "-c", SEGMENT]))
    _, errors = run(command, "/")
    assert len(errors) == 1 and "nothing is cached" in errors[0] and "XDG_CACHE_HOME" in errors[0]


def test_the_account_tells_the_home_folder_where_home_is_not_set(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    import pwd

    assert environment.user_cache() == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache"


def test_the_temporary_folder_is_private(fresh, temporary):
    folder = fresh.temporary_folder()
    assert folder == temporary / f"dcfm_ros-{os.getuid()}" and folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "prepare",
    [
        lambda folder: (folder.mkdir(), folder.chmod(0o777)),
        lambda folder: (folder.with_name("elsewhere").mkdir(mode=0o700), folder.symlink_to("elsewhere")),
        lambda folder: folder.write_text("a file"),
    ],
    ids=["open to others", "a link", "a file"],
)
def test_a_temporary_folder_that_another_may_have_prepared_is_not_used(fresh, temporary, prepare):
    prepare(temporary / f"dcfm_ros-{os.getuid()}")
    assert fresh.temporary_folder() is None


def test_a_temporary_folder_of_another_user_is_not_used(fresh, temporary):
    folder = temporary / f"dcfm_ros-{os.getuid()}"
    folder.mkdir(mode=0o700)
    try:
        os.chown(folder, STRANGER, STRANGER)
    except PermissionError:
        pytest.skip("only root can give a folder away")
    assert fresh.temporary_folder() is None


def test_writable_is_found_by_trying_and_leaves_nothing(tmp_path):
    assert environment.is_writable(tmp_path / "not" / "yet") and list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert not environment.is_writable(tmp_path / "file") and not environment.is_writable(
        tmp_path / "file" / "below"
    )
    assert not environment.is_writable(Path("/proc"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "locale", [pytest.param({}, marks=pytest.mark.nightly), {"LC_ALL": "C"}, {"LANG": "de_DE.ISO-8859-1"}]
)
def test_umlauts_in_any_locale(temporary, locale):
    from helpers import write_tiny_model

    model = write_tiny_model(temporary / "Straße")
    command = [
        sys.executable,
        "-m",
        "dcfm_ros",
        "segment",
        "synthetic",
        "--frames",
        "2",
        "--backend",
        "torch",
        "--model",
        str(model),
        "--out",
        "gäbe",
        "--json",
        "ü.json",
    ]
    run(
        command,
        temporary,
        PYTHONSAFEPATH="1",
        XDG_CACHE_HOME=os.environ.get("XDG_CACHE_HOME", str(temporary)),
        **locale,
    )
    assert (temporary / "ü.json").is_file() and (temporary / "gäbe").is_dir()


@pytest.mark.slow
def test_a_cache_folder_to_which_others_can_write_is_not_used(temporary):
    """Neither by this package nor by numba, which runs what it finds in its own."""
    cache = temporary / "shared"
    (cache / "numba").mkdir(parents=True)
    cache.chmod(0o777)
    output, errors = run(
        [sys.executable, "-c", SEGMENT], temporary, XDG_CACHE_HOME=str(cache), TMPDIR=str(temporary)
    )
    place = temporary / f"dcfm_ros-{os.getuid()}"
    assert output == str(place / "cache" / "dcfm_ros" / "openvino")
    assert len(errors) == 1 and f"every user can write to {cache}: caches go to {place}" in errors[0]
    assert not list(cache.rglob("*.nbi"))


@pytest.mark.slow
@pytest.mark.parametrize("given", [True, False])
def test_a_cache_of_numba_to_which_others_can_write_is_not_used(temporary, given):
    cache = temporary / "mine"
    (cache / "numba").mkdir(parents=True)
    (cache / "numba").chmod(0o777)
    named = {"NUMBA_CACHE_DIR": str(cache / "numba")} if given else {}
    output, errors = run(
        [sys.executable, "-c", SEGMENT], temporary, XDG_CACHE_HOME=str(cache), TMPDIR=str(temporary), **named
    )
    place = temporary / f"dcfm_ros-{os.getuid()}" / "cache" / "numba"
    assert output == str(cache / "dcfm_ros" / "openvino")
    assert len(errors) == 1 and f"write to {cache / 'numba'}: NUMBA_CACHE_DIR is {place} instead" in errors[0]
    assert not list(cache.rglob("*.nbi")) and list(place.rglob("*.nbi"))


def test_a_cache_folder_of_another_user_is_not_used(fresh, temporary, monkeypatch):
    cache = temporary / "theirs"
    cache.mkdir(mode=0o755)
    try:
        os.chown(cache, STRANGER, STRANGER)
    except PermissionError:
        pytest.skip("only root can give a folder away")
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert fresh.prepare.__wrapped__()
    place = temporary / f"dcfm_ros-{os.getuid()}" / "cache"
    assert os.environ["XDG_CACHE_HOME"] == str(place)
    assert os.environ["TRITON_CACHE_DIR"] == str(place / "triton")
