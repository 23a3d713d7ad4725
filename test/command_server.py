# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of the package as forks of one process that has imported their modules: 0.1 s instead of 3 s each.

Importing PyTorch and rclpy takes most of the time of a test that starts a node. What differs from an
installed command: the script that CMake makes of scripts/command.py.in, the end of the interpreter, which
multiprocessing leaves out, and that the segmenter reports more often. Tests of these start installed
commands.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys

from forked_helpers import become

MODULES = {
    "segmenter": "frequent_reports",
    "camera": "dcfm_ros.ros.camera_node",
    "points": "dcfm_ros.ros.points_node",
    "recorder": "dcfm_ros.ros.tools.recorder_node",
    "viewer": "dcfm_ros.ros.viewer_node",
}
_CONTEXT = multiprocessing.get_context("forkserver")
# with what the segmenter loads for the backend torch, which it imports only then
_BACKEND = ["dcfm_ros.pipeline.backends.torch_cpu", "dcfm_ros.model.folder"]
_CONTEXT.set_forkserver_preload(["dcfm_ros.ros.segmenter_node", *MODULES.values(), *_BACKEND])


def _run(command: str, arguments: list[str], log: str, environment: dict[str, str]) -> None:
    """In the fork: become the command."""
    become([command, *arguments], log, environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(importlib.import_module(MODULES[command]).main())


class ForkedCommand:
    """A command with the methods of subprocess.Popen that tests use. Its output goes to the end of a file."""

    def __init__(self, command: str, arguments: list[str], log: str, environment: dict[str, str]):
        self._process = _CONTEXT.Process(
            target=_run, args=(command, arguments, log, environment), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    poll = returncode.fget

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
