# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that run nodes end with a line when one of these is killed, and leave none of them behind."""

import subprocess
import sys
import time

import psutil
import pytest
from ros_helpers import DEADLINE_S

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
    raise AssertionError(f"no {node} was started")


@pytest.mark.parametrize("node", ("segmenter", "camera"))
@pytest.mark.parametrize("name", ("demo", "soak"))
def test_a_node_that_is_killed_ends_the_command(other_domain, model, tmp_path, name, node):
    options = ["--out", str(tmp_path / "demo")] if name == "demo" else ["--camera", "64x96"]
    command = subprocess.Popen(
        [
            *(sys.executable, "-c", "import sys; from dcfm_ros.cli import main; sys.exit(main())", name),
            *("--model", str(model), "--backend", "torch", "--seconds", "600", *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        child_of(command, "camera")  # the last one that is started
        child_of(command, node).kill()
        said, _ = command.communicate(timeout=DEADLINE_S)
    finally:
        command.kill()
    assert command.returncode == 2 and f"dcfm {name}: {node} was killed (SIGKILL)" in said
    left = [one for one in psutil.process_iter(["cmdline"]) if str(model) in (one.info["cmdline"] or [])]
    assert not left
