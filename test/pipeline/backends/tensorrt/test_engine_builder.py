# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines built by another process, here a stand-in for it: what it says, how it ends, and what is made of
it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny_model
from pipeline_helpers import FakeBackend, in_thread, join

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.onnx_export import model_parts
from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.hot_swap import BuildStopped
from dcfm_ros.pipeline.backends.tensorrt import build_program as tensorrt_build
from dcfm_ros.pipeline.backends.tensorrt import engine_builder
from dcfm_ros.pipeline.backends.tensorrt.engine_builder import EngineBuilder
from dcfm_ros.pipeline.backends.tensorrt.engine_files import DamagedEngines, EngineCache
from dcfm_ros.pipeline.export.record import make_record, write_record

SIZE = (64, 96)


def write_engines(folder, content=b"engines"):
    """A folder as the builder leaves it, but for what is in the engines."""
    folder.mkdir(parents=True)
    files = [folder / f"{part}.engine" for part in ("shallow", "deep", "align", "decoder")]
    for file in files:
        file.write_bytes(content)
    model = tiny_model()
    write_record(
        folder,
        make_record(folder, files, "tensorrt", model, "tiny", model_parts(model, SIZE), "f32", None, {}),
    )


def loaded(folder: Path):
    """A backend of a folder; engines of another driver cannot be loaded."""
    if (folder / "deep.engine").read_bytes() == b"of another driver":
        raise DamagedEngines("cannot load the engine deep")
    backend = FakeBackend()
    backend.folder = folder
    return backend


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes an EngineBuilder whose program is a Python script, with the arguments in `sys.argv`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(script="", load=loaded, model=None):
        return EngineBuilder(
            model or tiny_model(),
            "f16",
            "cuda:0",
            EngineCache(tmp_path / "model"),
            load,
            lambda size: f"key{size[0]}x{size[1]}",
            (sys.executable, "-c", script),
        )

    return make


# Copies a folder of engines to where they are asked for.
GOOD = """
import json, shutil, sys
print("a line of TensorRT's own")
print(json.dumps({"progress": "deep 50%"}), flush=True)
shutil.copytree("ENGINES", sys.argv[2], dirs_exist_ok=True)
print(json.dumps({"done": sys.argv[2]}))
"""


@pytest.fixture
def good(tmp_path):
    write_engines(tmp_path / "engines")
    return GOOD.replace("ENGINES", str(tmp_path / "engines"))


@pytest.mark.slow
def test_builds_where_the_model_is_and_finds_it_again(make, good, tmp_path):
    told, builder = [], make(good)
    assert builder.find(SIZE) is None
    backend = builder.build(SIZE, told.append)
    assert backend.folder == tmp_path / "model" / "engines" / "key64x96" and told == ["deep 50%"]
    assert backend.decoded == [(0, [0])]  # run once before the first frame
    assert make().find(SIZE).folder == backend.folder and make().find((96, 64)) is None


@pytest.mark.slow
def test_the_program_gets_the_model_as_it_is(make, good, tmp_path):
    look = good.replace(
        "import json",
        "import json, shutil, sys\nshutil.copytree(sys.argv[1], 'COPY')\n"
        "open('ARGUMENTS', 'w').write(' '.join(sys.argv[3:]))\nimport json",
        1,
    )
    look = look.replace("COPY", str(tmp_path / "copy")).replace("ARGUMENTS", str(tmp_path / "arguments"))
    model = tiny_model(seed=3)
    make(look, model=model).build(SIZE, lambda progress: None)
    copy = load_model(tmp_path / "copy")
    assert all(np.array_equal(a, b) for a, b in zip(copy.state_dict().values(), model.state_dict().values()))
    assert (tmp_path / "arguments").read_text().split() == [
        "--size",
        "64x96",
        "--precision",
        "f16",
        "--device",
        "cuda:0",
        "--name",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "script, message",
    [
        (
            'import sys; print(\'{"error": "no memory"}\'); sys.exit(1)',
            "engines could not be built: no memory",
        ),
        ('print(\'{"progress": "deep"}\')', "engines could not be built: exit code 0: no output"),
        (
            "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(4)",
            "exit code 4: one | two",
        ),
        ("import os; print('3'); print('[1]'); os.abort()", "exit code -6: 3 | [1]"),
        ('import sys; print(\'{"done": "x"}\'); sys.exit(5)', "exit code 5: no output"),
        ("for n in range(9): print(n)", "exit code 0: 4 | 5 | 6 | 7 | 8"),
    ],
)
def test_a_program_that_fails(make, script, message):
    with pytest.raises(BackendError) as error:
        make(script).build(SIZE, lambda progress: None)
    assert message in str(error.value)


def test_stop_ends_the_program(make, tmp_path):
    builder = make(
        "import os, sys, time\nos.mkdir(os.path.dirname(sys.argv[2]) + '/.unfinished')\n"
        'print(\'{"progress": ""}\', flush=True)\ntime.sleep(600)'
    )
    processes = []

    def build():
        with pytest.raises(BuildStopped):
            builder.build(SIZE, lambda progress: (processes.append(builder._process), builder.stop()))
        return "stopped"

    thread, result = in_thread(build)
    join(thread)
    assert result == ["stopped"] and processes[0].returncode == -15
    assert list((tmp_path / "model" / "engines").iterdir()) == []  # nothing is left of it
    with pytest.raises(BuildStopped):
        builder.build(SIZE, lambda progress: None)  # and no other is begun


def test_a_program_that_does_not_end_is_killed(make, monkeypatch):
    monkeypatch.setattr(engine_builder, "_GRACE_S", 0.05)
    builder = make(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'print(\'{"progress": ""}\', flush=True)\ntime.sleep(600)'
    )
    codes = []

    def stop(progress):
        process = builder._process
        builder.stop()
        codes.append(process.returncode)

    with pytest.raises(BuildStopped):
        builder.build(SIZE, stop)
    assert codes == [-9]


@pytest.mark.slow
def test_the_real_program_starts_and_says_what_is_missing(make):
    """No GPU here, or no TensorRT: the last line is that error."""
    builder = make()
    builder._program = engine_builder.PROGRAM
    with pytest.raises(BackendError, match="engines could not be built: .*(TensorRT|GPU)"):
        builder.build(SIZE, lambda progress: None)


@pytest.mark.slow
def test_the_real_program_ends_with_who_started_it():
    code = (
        "import threading, dcfm_ros.pipeline.backends.tensorrt.build_program as b; print('ready', "
        "flush=True); b._end_with_parent()\n"
        "print('still here')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n" and process.poll() is None
    process.stdin.close()
    assert process.wait(30) == 3 and process.stdout.read() == ""
    process.stdout.close()


# The cache


@pytest.mark.slow
def test_damaged_engines_are_removed_and_built_again(make, good, tmp_path, caplog):
    folder = make(good).build(SIZE, lambda progress: None).folder
    (folder / "deep.engine").write_bytes(b"cut")
    builder = make(good)
    assert builder.find(SIZE) is None and not folder.exists()
    assert "engines are built again" in caplog.text and "deep.engine is damaged" in caplog.text
    assert builder.build(SIZE, lambda progress: None).folder == folder


@pytest.mark.slow
def test_engines_that_cannot_be_loaded_are_removed(make, tmp_path, caplog):
    folder = tmp_path / "model" / "engines" / "key64x96"
    write_engines(folder, b"of another driver")
    assert make().find(SIZE) is None and not folder.exists()
    assert "engines are built again: cannot load the engine deep" in caplog.text


@pytest.mark.slow
def test_engines_are_not_blamed_for_what_is_not_theirs(make, tmp_path):
    folder = tmp_path / "model" / "engines" / "key64x96"
    write_engines(folder)

    def no_memory(folder):
        raise BackendError("no memory on the GPU")

    with pytest.raises(BackendError, match="no memory on the GPU"):
        make(load=no_memory).find(SIZE)
    assert folder.is_dir()


@pytest.mark.slow
def test_a_model_folder_that_cannot_be_written(make, good, tmp_path):
    """The user's cache it is then."""
    (tmp_path / "model").write_text("a file where the folder should be")
    folder = make(good).build(SIZE, lambda progress: None).folder
    assert folder == tmp_path / "cache" / "dcfm_ros" / "tensorrt" / "key64x96"
    assert make().find(SIZE).folder == folder


def test_nowhere_to_write(make, tmp_path):
    for name in ("model", "cache"):
        (tmp_path / name).write_text("a file where the folder should be")
    with pytest.raises(
        BackendError,
        match="engines can be written neither into .*model/engines nor into .*set XDG_CACHE_HOME",
    ):
        make().build(SIZE, lambda progress: None)


@pytest.mark.slow
def test_engines_that_others_can_write_to_are_not_loaded(make, good, tmp_path, caplog):
    """They are built again in a folder of the user's own."""
    first = make(good).build(SIZE, lambda progress: None).folder
    (first / "deep.engine").chmod(0o666)
    assert make().find(SIZE) is None
    assert f"every user can write to {first / 'deep.engine'}" in caplog.text
    second = make(good).build(SIZE, lambda progress: None).folder
    assert second == tmp_path / "cache" / "dcfm_ros" / "tensorrt" / "key64x96"
    assert make().find(SIZE).folder == second


def test_a_folder_that_others_can_write_to_gets_no_engines(make, tmp_path):
    (tmp_path / "model" / "engines").mkdir(parents=True)
    (tmp_path / "model").chmod(0o777)
    assert EngineCache(tmp_path / "model").new("key").parent == tmp_path / "cache" / "dcfm_ros" / "tensorrt"


def test_a_model_without_a_folder_has_the_users_cache(make, tmp_path):
    assert EngineCache(None).new("key") == tmp_path / "cache" / "dcfm_ros" / "tensorrt" / "key"


@pytest.mark.slow
def test_the_least_recently_used_engines_go(make, tmp_path):
    cache = EngineCache(tmp_path / "model")
    for number in range(16):
        write_engines(tmp_path / "model" / "engines" / str(number))
        os.utime(tmp_path / "model" / "engines" / str(number), (number, number))
    assert cache.find("0") is not None  # used now
    for name, age_s in ((".a", 2 * 86400), (".b", 60)):  # of a process that was killed, and of one at work
        (tmp_path / "model" / "engines" / name).mkdir()
        os.utime(tmp_path / "model" / "engines" / name, 2 * (time.time() - age_s,))
    cache.new("16")
    assert {path.name for path in (tmp_path / "model" / "engines").iterdir()} == {
        ".b",
        "0",
        *map(str, range(2, 16)),
    }


@pytest.mark.slow
def test_the_key_has_all_that_an_engine_depends_on(monkeypatch):
    from dcfm_ros.pipeline.backends.tensorrt.engine_files import engine_key

    model = tiny_model()
    facts = (model, SIZE, "f16", "11.4.0", "GPU 9.0")
    others = [
        (tiny_model(seed=1), *facts[1:]),
        (tiny_model(architecture="per_frame"), *facts[1:]),
        (model, (96, 64), *facts[2:]),
        (*facts[:2], "f32", *facts[3:]),
        (*facts[:3], "10.16.1", facts[4]),
        (*facts[:4], "GPU 8.9"),
    ]
    keys = [engine_key(*facts), *(engine_key(*other) for other in others)]
    assert len(set(keys)) == len(keys) and engine_key(*facts) == keys[0] and len(keys[0]) == 32


def test_progress_is_one_line_of_json(capsys):
    tensorrt_build._say(progress="deep")
    assert json.loads(capsys.readouterr().out) == {"progress": "deep"}
