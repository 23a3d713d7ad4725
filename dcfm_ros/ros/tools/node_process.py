# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes of this package as processes of their own, for commands that play a whole system: starting, watching,
ending them."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ament_index_python.packages import get_package_prefix
from rclpy.executors import Executor
from rclpy.node import Node

from dcfm_ros.ros.shared_memory import SHARED_MEMORY
from dcfm_ros.ros.yaml_text import as_yaml

_START_TIMEOUT_S = 180.0  # compiling a model on a busy machine takes its time
_END_TIMEOUT_S = 10.0
_VIEWER_END_S = 60.0  # it shows what waits, and writes it to the disk
_DISCOVERY_S = 1.0  # in which a segmenter that runs already is heard of


class ChildError(RuntimeError):
    """A process did not do its part; the message holds the end of its log."""


def ros_parameters(settings: Mapping[str, object]) -> list[str]:
    """Command line arguments that set these parameters. Text stays text, whatever YAML would make of it."""
    return [
        part
        for name, value in settings.items()
        for part in ("-p", f"{name}:={as_yaml(str(value) if isinstance(value, Path) else value)}")
    ]


class Child:
    """A node of this package in a process of its own, its output in `folder`/`name`.log.

    command: as for `ros2 run`; name: by default the command, another where several run it; end_s: how long it
        may take to end.
    """

    def __init__(
        self,
        command: str,
        folder: Path,
        ros_arguments: list[str],
        name: str = "",
        end_s: float = _END_TIMEOUT_S,
    ):
        self.name, self._end_s = name or command, end_s
        self.log = folder / f"{self.name}.log"
        executable = Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros" / command
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [str(executable), "--ros-args", *ros_arguments], stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def check_running(self) -> None:
        if not self.running():
            self._fail()

    def check_result(self) -> None:
        """After its end: did it end well?"""
        if self._process.returncode != 0:
            self._fail()

    def is_active(self) -> bool:
        return "active: " in self._said()

    def refused_to_configure(self) -> bool:
        return "cannot configure" in self._said()

    def backend(self) -> str:
        """The backend named in the segmenter's log: what `auto` came to."""
        found = re.search(
            r"\), backend ([^,]+), mode ", self._said()
        )  # the model before it may be called anything
        return found[1] if found else "unknown"

    def said(self, text: str) -> str:
        """The last line of the log that holds `text`, from there on; "" if none does."""
        lines = [line for line in self._said().splitlines() if text in line]
        return lines[-1][lines[-1].index(text) :] if lines else ""

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self._said().splitlines()[-lines:])

    def _said(self) -> str:
        """All of the log; names of files in it may be no text of any encoding."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        if self.running():
            self._process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """End it as Ctrl-C does; one that does not end is killed."""
        self.interrupt()
        try:
            self._process.wait(self._end_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _fail(self) -> None:
        raise ChildError(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")


def tell_of_shared_memory(children: list[Child]) -> None:
    """Print what nodes have said about images that got lost, or a shared memory that is too small for
    them."""
    for child in children:
        if line := child.said("images lost on the way") or child.said(f"{SHARED_MEMORY} has "):
            print(f"{child.name}: {line}", flush=True)


def refuse_company(node: Node, executor: Executor, topic: str, what: str, ours: int = 0) -> None:
    """Raise ChildError if another segmenter runs, whose masks on `topic` would be taken for ours.

    what: the command; ours: segmenters that it has started itself.
    """
    deadline = time.monotonic() + _DISCOVERY_S
    while time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
        if node.count_publishers(topic) > ours:
            raise ChildError(
                f"another segmenter publishes {topic} here: stop it, or give {what} its own ROS_DOMAIN_ID"
            )


def wait_until_active(segmenter: Child, executor: Executor, is_heard: Callable[[], bool]) -> None:
    """Spin until the segmenter is active, and its latched palette, as `is_heard` tells, has come.

    The palette alone would not do: it may be another segmenter's.
    """
    print("starting the segmenter", flush=True)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not (is_heard() and segmenter.is_active()):
        executor.spin_once(timeout_sec=0.1)
        segmenter.check_running()
        if segmenter.refused_to_configure() or time.monotonic() > deadline:
            raise ChildError(f"the segmenter did not become active:\n{segmenter.tail()}")


def start_viewer(target: str, folder: Path, executor: Executor) -> Child:
    """The node `viewer`, connected to an active segmenter, which may take DDS seconds; the URL of one in a
    browser is printed.

    target: as for `evaluation.viewer.open_viewer`.
    """
    viewer = Child("viewer", folder, ros_parameters({"target": target}), end_s=_VIEWER_END_S)
    deadline = time.monotonic() + _START_TIMEOUT_S
    try:
        while not viewer.said("connected to the segmenter"):
            executor.spin_once(timeout_sec=0.1)
            if not viewer.running() or time.monotonic() > deadline:
                raise ChildError(f"the viewer did not start:\n{viewer.tail(5)}")
    except BaseException:
        viewer.stop()
        raise
    if url := viewer.said("viewer: http"):
        print(url, flush=True)
    return viewer
