# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that run nodes end with a line when one of these is killed, and leave none of them behind."""

import subprocess
import sys
import time

import psutil
import pytest
from ros_helpers import DEADLINE_S

from dcfm_ros.cli import main
from dcfm_ros.ros.tools import node_process

pytestmark = pytest.mark.slow


def child_of(command: subprocess.Popen, node: str) -> psutil.Process:
    """The process of a node that a command has started."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and command.poll() is None:
        for child in psutil.Process(command.pid).children(recursive=True):
            try:
                if any(argument.endswith(f"/lib/dcfm_ros/{node}") for argument in child.cmdline()):
                    return child
            except psutil.Error:  # it has ended since
                pass
        time.sleep(0.05)  # between two looks; nothing depends on its length
    raise AssertionError(f"no {node} was started")


def arguments(name: str, model, tmp_path) -> list[str]:
    options = ["--out", str(tmp_path / "demo")] if name == "demo" else ["--camera", "64x96"]
    return [name, "--model", str(model), "--backend", "torch", "--seconds", "600", *options]


def test_a_node_that_is_killed_ends_the_command(other_domain, model, tmp_path):
    """All in processes of their own, as installed; the next test has each command and node."""
    program = "import sys; from dcfm_ros.cli import main; sys.exit(main())"
    command = subprocess.Popen(
        [sys.executable, "-c", program, *arguments("soak", model, tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        nodes = {one: child_of(command, one) for one in ("camera", "segmenter")}  # camera: the last one
        nodes["segmenter"].kill()
        said, _ = command.communicate(timeout=DEADLINE_S)
    finally:
        command.kill()
    assert command.returncode == 2 and "dcfm soak: segmenter was killed (SIGKILL)" in said
    assert not [one for one in nodes.values() if one.is_running()]


@pytest.mark.parametrize("node", ("segmenter", "camera"))
@pytest.mark.parametrize("name", ("demo", "soak"))
def test_each_node_that_is_killed_is_named(
    other_domain, forked_nodes, model, tmp_path, capfd, monkeypatch, name, node
):
    start = node_process.subprocess.Popen

    def killed(command, **how):
        """The last one that is started is the camera."""
        started = start(command, **how)
        if command[0].endswith("/camera"):
            forked_nodes[node].kill()
        return started

    monkeypatch.setattr(node_process.subprocess, "Popen", killed)
    assert main(arguments(name, model, tmp_path)) == 2
    assert f"dcfm {name}: {node} was killed (SIGKILL)" in capfd.readouterr().err
    assert set(forked_nodes) == {"segmenter", "camera"}
    assert all(process.returncode is not None for process in forked_nodes.values())
