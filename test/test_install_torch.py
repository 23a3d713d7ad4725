# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which build of PyTorch `make` installs on which machine; the machine is a folder, pip a command that tells
what it was given."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "install_torch.bash"
INDEXES = "https://indexes.example.com/whl"


@pytest.fixture
def install(tmp_path):
    """Runs the script on a machine with these files; returns exit code, index given to pip or None, and what
    was said."""
    commands, machine = tmp_path / "commands", tmp_path / "machine"
    for folder in (commands, machine):
        folder.mkdir()

    def command(name, text):
        path = commands / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(*files, index="", gpu=False, reachable=True):
        command("nvidia-smi", f"exit {0 if gpu else 9}")
        command("pip", f'echo "$@" > {tmp_path}/given; exit {0 if reachable else 1}')
        for file in files:
            (machine / file).parent.mkdir(parents=True, exist_ok=True)
            (machine / file).touch()
        environment = {
            **os.environ,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "TORCH_INDEX": index,
            "MACHINE_ROOT": str(machine),
        }
        done = subprocess.run(
            ["bash", SCRIPT, INDEXES, "pip", "install"],
            cwd=ROOT,
            env=environment,
            text=True,
            capture_output=True,
            timeout=30,
        )
        given = (tmp_path / "given").read_text().split() if (tmp_path / "given").exists() else []
        return (
            done.returncode,
            given[given.index("--index-url") + 1] if given else None,
            done.stdout + done.stderr,
        )

    return run


def test_without_a_gpu_it_is_the_cpu_build(install):
    assert install() == (0, f"{INDEXES}/cpu", "")


def test_where_that_index_cannot_be_reached_pip_decides(install):
    code, _, said = install(reachable=False)
    assert code == 0 and said == f"{INDEXES}/cpu could not be used: taking PyTorch from pip's default index\n"


@pytest.mark.parametrize("index", ["", "cpu"])
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_is_no_unusable_index(tmp_path, index, number, code):
    """pip has a status of its own for Ctrl-C, which reaches both."""
    (tmp_path / "pip").write_text("#!/bin/sh\ntrap 'exit 1' INT TERM\necho ready\nsleep 30 & wait\n")
    (tmp_path / "pip").chmod(0o755)
    environment = {**os.environ, "TORCH_INDEX": index, "MACHINE_ROOT": str(tmp_path / "machine")}
    with subprocess.Popen(
        ["bash", SCRIPT, INDEXES, tmp_path / "pip"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as script:
        try:
            assert script.stdout.readline() == "ready\n"
            os.killpg(script.pid, number)
            assert (script.stdout.read(), script.wait(20)) == ("", code)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(script.pid, signal.SIGKILL)


def test_with_a_gpu_it_is_left_to_pip(install):
    assert install("dev/nvidia0", gpu=True) == (0, None, "")


@pytest.mark.parametrize("sign", ["dev/nvidia0", "dev/nvidia3", "proc/driver/nvidia/version"])
def test_a_gpu_that_nvidia_smi_does_not_show_is_told_and_gets_no_cpu_build(install, sign):
    code, index, said = install(sign)
    assert (code, index) == (0, None)
    assert (
        "taking the CUDA build" in said
        and "TORCH_INDEX=cpu" in said
        and sign.removesuffix("/version") in said
    )


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("sign", ["etc/nv_tegra_release", "dev/nvhost-ctrl-gpu", "dev/nvmap"])
def test_on_a_jetson_the_user_decides(install, sign, gpu):
    code, index, said = install(sign, "dev/nvidia0", gpu=gpu)
    assert (code, index) == (1, None)
    assert f"Jetson (/{sign})" in said and "TORCH_INDEX=cpu" in said


@pytest.mark.parametrize(
    "files, gpu", [((), False), (("etc/nv_tegra_release",), False), (("dev/nvidia0",), True)]
)
@pytest.mark.parametrize(
    "asked, index",
    [
        ("cpu", f"{INDEXES}/cpu"),
        ("cu128", f"{INDEXES}/cu128"),
        ("https://jetson.example.com/jp6/cu126", "https://jetson.example.com/jp6/cu126"),
    ],
)
def test_what_the_user_names_is_taken(install, files, gpu, asked, index):
    assert install(*files, index=asked, gpu=gpu) == (0, index, "")


def test_and_nothing_else_is(install):
    code, _, said = install(index="cu999", reachable=False)
    assert code == 1 and f"{INDEXES}/cu999 could not be used" in said and "requirements/torch.txt" in said
