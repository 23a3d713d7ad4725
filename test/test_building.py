# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is built from scripts/command.py.in, and what `make` says at once instead of failing in the middle."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def command(folder, interpreter, module="stub"):
    """An installed command, as CMake makes it."""
    script = folder / "stub_command"
    text = (ROOT / "scripts" / "command.py.in").read_text()
    for name, value in {"Python3_EXECUTABLE": str(interpreter), "module": module, "name": "stub"}.items():
        text = text.replace(f"@{name}@", value)
    script.write_text(text)
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    "name", ["my robot ü", "/".join(["long" * 20] * 4)], ids=["spaces and umlauts", "long"]
)
def test_a_command_starts_wherever_its_interpreter_lies(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(Path(sys.executable).resolve())
    (folder / "stub.py").write_text("import sys\ndef main():\n    print(sys.argv[1:])\n    return 3\n")
    done = subprocess.run(
        [command(folder, folder / "python"), "a b", "ü"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "['a b', 'ü']\n", "")


def test_a_command_without_its_environment_says_what_to_source(tmp_path):
    script = command(tmp_path, Path(sys.executable).resolve(), module="dcfm_ros.cli")
    done = subprocess.run([script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, cwd="/")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "source scripts/env.bash" in done.stderr


@pytest.mark.parametrize(
    "name", ["bob's drive.mp4", "out #1", 'a "b" $HOME `id` $(id)', "back\\slash 100%", "-x; exit 1", "ü 🚗"]
)
def test_make_hands_values_on_as_they_are(name):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    plain = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    for variables, arguments in (
        ({}, [f"SOURCE={name}", f"LABELS={name}"]),
        ({"SOURCE": name, "LABELS": name}, []),
    ):
        dry = subprocess.run(
            ["make", "-n", "demo", f"OUT={name}", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env=plain | variables,
        ).stdout
        command = dry[dry.index("dcfm demo") :]
        done = subprocess.run(
            ["bash", "-c", f"dcfm() {{ printf '%s\\0' \"$@\"; }}; {command}"], capture_output=True, text=True
        )
        given = done.stdout.split("\0")[:5]
        assert given == ["demo", f"--source={name}", f"--labels={name}", "--rate=15", f"--out={name}"]


def sourced(folder, **variables):
    """`source scripts/env.bash` in a clone, in a shell where nothing of the package is known."""
    return subprocess.run(
        ["bash", "-uc", f"source '{folder}/scripts/env.bash' && dcfm"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **variables},
    )


def test_the_environment_says_when_its_build_did_not_finish(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "env.bash", tmp_path / "scripts")
    done = sourced(tmp_path)
    assert (
        done.returncode == 1
        and f"no virtual environment .venv in {tmp_path}: run `make build`" in done.stderr
    )
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    done = sourced(tmp_path)
    message = f"dcfm_ros: the build in {tmp_path} did not finish: run `make build` there again\n"
    assert (done.returncode, done.stderr) == (1, message)
    assert message not in sourced(tmp_path, MAKELEVEL="1").stderr  # the build itself comes next there
    command = tmp_path / "install" / "bin" / "dcfm"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\necho built\n")
    command.chmod(0o755)
    (tmp_path / "install" / "local_setup.bash").write_text(f"export PATH={command.parent}:$PATH\n")
    assert (done := sourced(tmp_path)).stdout == "built\n" and (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_while_the_environment_is_made_is_no_traceback(tmp_path):
    line = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("QUIET_VENV := ")
    )
    interrupt = "import os, venv; venv.main = lambda: os.kill(os.getpid(), 2); "
    code = interrupt + line.removeprefix("QUIET_VENV := ")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-2, "")


@pytest.mark.parametrize("name", ["my robot", "Straße", "a:b", "it's", "a$b"])
def test_make_refuses_at_once_a_folder_where_ros_cannot_be_built(tmp_path, name):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = tmp_path / name
    for part in ("dcfm_ros", "launch", "config"):
        (folder / part).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    plain = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(["make", "build"], cwd=folder, capture_output=True, text=True, env=plain)
    assert (
        done.returncode == 2
        and done.stderr.count("\n") == 1
        and f'cannot be built in "{folder}"' in done.stderr
    )
    assert sorted(path.name for path in folder.iterdir()) == ["Makefile", "config", "dcfm_ros", "launch"]
    assert subprocess.run(["make", "help"], cwd=folder, capture_output=True, env=plain).returncode == 0
