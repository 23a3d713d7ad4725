# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The output's disk is full, or broken: what is told, and that the same command goes on once that is
mended."""

import errno
import json
import os
import re
import resource
import shutil
import subprocess
import sys

import pytest
from bags_helpers import write_bag
from helpers import write_tiny_model
from rosbags.rosbag2.storage_mcap import McapWriter
from segmenting_helpers import CAMERAS, FRAMES, PART, content, segment

from dcfm_ros.bags.progress import STATE_FILE
from dcfm_ros.bags.writing import WriteError, mount_point

IMAGES = FRAMES * len(CAMERAS)
PLAIN = dict(compression="none")  # masks of 6 KB each
_SPACE = (
    shutil.which("unshare") is not None
    and subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True
    ).returncode
    == 0
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "drive", FRAMES, CAMERAS, motion=0.5, cut=9)


@pytest.fixture(scope="module")
def whole(bag, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "whole"
    segment(bag, out, model)
    return content(out)


# The command twice for each storage, in one process within a file system of its own.
FULL = """
import shutil, subprocess, sys
from pathlib import Path
from dcfm_ros.cli import main

folder, *common = sys.argv[1:]
for storage in ("mcap", "sqlite3"):
    disk = Path(folder, storage, "disk")
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=240k", "tmpfs", disk], check=True)
    command = ["bag", "segment", *common, "-o", f"{disk}/out", "--storage", storage]
    print(storage, "code", main(command), *(path.name for path in disk.iterdir()))
    subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
    sys.stdout = open("/dev/null", "w")
    assert main([*command, "--json", f"{folder}/{storage}/report.json"]) == 0
    sys.stdout = sys.__stdout__
    shutil.copytree(disk / "out", Path(folder, storage, "kept"))
"""


@pytest.mark.slow
@pytest.mark.skipif(not _SPACE, reason="no tmpfs can be mounted here: unshare -rm is not allowed")
def test_a_disk_that_is_full(bag, model, whole, tmp_path):
    """A real one, of 240 KB; then it is made larger, and the same command is given again."""
    common = [str(bag), "--model", str(model), "--backend", "torch", "--precision", "f32"]
    common += ["--compression", "none", "--part", str(PART)]
    run = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", FULL, str(tmp_path), *common],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "mcap code 2 out.partial\nsqlite3 code 2 out.partial\n", run.stderr
    for storage in ("mcap", "sqlite3"):
        disk = tmp_path / storage / "disk"
        told = re.search(
            rf"dcfm bag segment: no space left for {disk}/out.partial, on the disk at {disk} \(.*\): free "
            rf"space there, then run the same command again: it resumes at image (\d+) of {IMAGES}",
            run.stderr,
        )
        assert told, run.stderr
        done = int(told[1])
        assert 0 < done < IMAGES and done % PART == 0
        report = json.loads((tmp_path / storage / "report.json").read_text())
        assert report["resumed_at_image"] == done
        assert content(tmp_path / storage / "kept") == whole


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_files_that_may_not_grow(bag, model, whole, tmp_path, storage):
    """A part does not fit into what one file may have: told as it is, and what was written of it is gone."""
    out, (soft, hard) = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(
            WriteError,
            match=rf"{out}.partial, on the disk at {mount_point(tmp_path)} \(.*\): .*, then "
            rf"run the same command again: it resumes at image 0 of {IMAGES}",
        ):
            segment(bag, out, model, storage=storage, **PLAIN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [*tmp_path.rglob("*")] in ([], [tmp_path / "out.partial"])
    segment(bag, out, model, storage=storage, **PLAIN)
    assert content(out) == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "number, text",
    [
        (
            errno.ENOSPC,
            "no space left for .*: free space there, then run the same command again: it resumes at image "
            f"{2 * PART} of {IMAGES}",
        ),
        (
            errno.EDQUOT,
            "no space left for .*: free space there, then run the same command again: it resumes at image "
            f"{2 * PART} of {IMAGES}",
        ),
        (
            errno.EIO,
            f"cannot write to .*: fix that, then run the same command again: it resumes at image {2 * PART} "
            f"of {IMAGES}",
        ),
    ],
)
def test_words_for_errors_of_the_disk(bag, model, whole, tmp_path, monkeypatch, number, text):
    out, closed = tmp_path / "out", McapWriter.close
    calls = iter(range(2))

    def close(self, *arguments):
        if next(calls, None) is None:
            raise OSError(number, os.strerror(number))
        closed(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(McapWriter, "close", close)
        with pytest.raises(WriteError, match=text):
            segment(bag, out, model)
    assert {path.name for path in (tmp_path / "out.partial").iterdir()} == {
        "out_0.mcap",
        "out_1.mcap",
        STATE_FILE,
    }
    if number == errno.EIO:  # which of the errors it was changes nothing
        assert segment(bag, out, model)["resumed_at_image"] == 2 * PART
        assert content(out) == whole


@pytest.mark.slow
def test_a_disk_that_fails_when_nothing_is_missing(bag, model, whole, tmp_path, monkeypatch):
    """The output has its name, so nobody is told that the command goes on."""

    def broken(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("dcfm_ros.bags.progress.flush", broken)
    with pytest.raises(WriteError, match=r"cannot write to .*out, on the disk at [^,]*: fix that$"):
        segment(bag, tmp_path / "out", model)
    assert content(tmp_path / "out") == whole and not (tmp_path / "out.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["state", "metadata", "name"])
def test_a_disk_that_is_full_when_little_is_missing(bag, model, whole, tmp_path, monkeypatch, what):
    out, calls = tmp_path / "out", []

    def full(*_):
        calls.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if what == "state":
            patch.setattr("dcfm_ros.bags.progress.atomic_write", full)
        elif what == "metadata":
            patch.setattr("dcfm_ros.bags.writing.atomic_write", full)
        else:
            patch.setattr("dcfm_ros.bags.progress.os.rename", full)
        with pytest.raises(
            WriteError, match=rf"no space left for .*image {0 if what == 'state' else IMAGES} of {IMAGES}"
        ):
            segment(bag, out, model)
    assert calls and not out.exists()
    segment(bag, out, model)
    assert content(out) == whole
