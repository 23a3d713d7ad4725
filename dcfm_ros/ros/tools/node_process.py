# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node processes: starts, monitors and stops nodes of this package, for commands that run a whole system."""

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

_START_TIMEOUT_S = 180.0  # compiling a model on a busy machine takes long
_END_TIMEOUT_S = 10.0
_VIEWER_END_S = 60.0  # it shows queued frames and writes them to disk
_DISCOVERY_S = 1.0  # time in which a running segmenter is discovered


class NodeProcessError(RuntimeError):
    """A node process failed; the message contains the end of its log."""


def ros_parameters(settings: Mapping[str, object]) -> list[str]:
    """Return command line arguments that set these parameters. Text stays text, whatever YAML would read it
    as."""
    return [
        part
        for name, value in settings.items()
        for part in ("-p", f"{name}:={as_yaml(str(value) if isinstance(value, Path) else value)}")
    ]


class NodeProcess:
    """A node of this package in a separate process, with its output in `folder`/`name`.log.

    command: as for `ros2 run`; name: defaults to the command; needed if several processes run the same one;
        end_s: timeout for a graceful exit
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
        """Raise NodeProcessError if the process, which has ended, failed."""
        if self._process.returncode != 0:
            self._fail()

    def is_active(self) -> bool:
        return "active: " in self._output()

    def refused_to_configure(self) -> bool:
        return "cannot configure" in self._output()

    def backend(self) -> str:
        """Return the backend named in the segmenter's log, to which `auto` was resolved."""
        # a greedy prefix would be ambiguous: the model's name before it is arbitrary
        found = re.search(r"\), backend ([^,]+), mode ", self._output())
        return found[1] if found else "unknown"

    def find_output(self, text: str) -> str:
        """Return the last line of the log that contains `text`, starting with it; "" if there is none."""
        lines = [line for line in self._output().splitlines() if text in line]
        return lines[-1][lines[-1].index(text) :] if lines else ""

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self._output().splitlines()[-lines:])

    def _output(self) -> str:
        """Return the complete log; file names in it may not be valid UTF-8."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def interrupt(self) -> None:
        """Request the process to end, like Ctrl-C."""
        if self.running():
            self._process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """End the process like Ctrl-C; kill it if it does not end in time."""
        self.interrupt()
        try:
            self._process.wait(self._end_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _fail(self) -> None:
        code = self._process.returncode
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with {code}"
        raise NodeProcessError(f"{self.name} {how}:\n{self.tail()}")


def print_transport_warnings(children: list[NodeProcess]) -> None:
    """Print warnings from the nodes' logs about lost images, or shared memory that is too small."""
    for child in children:
        if line := child.find_output("images lost in transport") or child.find_output(
            f"{SHARED_MEMORY} has "
        ):
            print(f"{child.name}: {line}", flush=True)


def ensure_only_segmenter(node: Node, executor: Executor, topic: str, what: str, ours: int = 0) -> None:
    """Raise NodeProcessError if another segmenter publishes `topic`, whose masks would be taken for ours.

    what: name of the command; ours: number of segmenters that it has started itself
    """
    deadline = time.monotonic() + _DISCOVERY_S
    while time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
        if node.count_publishers(topic) > ours:
            raise NodeProcessError(
                f"another segmenter publishes {topic} here: stop it, or give {what} its own ROS_DOMAIN_ID"
            )


def wait_until_active(segmenter: NodeProcess, executor: Executor, is_heard: Callable[[], bool]) -> None:
    """Spin until the segmenter is active and `is_heard` returns True, that is, its latched palette has
    arrived.

    The palette alone is not sufficient: it may be another segmenter's.
    """
    print("starting the segmenter", flush=True)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not (is_heard() and segmenter.is_active()):
        executor.spin_once(timeout_sec=0.1)
        segmenter.check_running()
        if segmenter.refused_to_configure() or time.monotonic() > deadline:
            raise NodeProcessError(f"the segmenter did not become active:\n{segmenter.tail()}")


def start_viewer(target: str, folder: Path, executor: Executor) -> NodeProcess:
    """Start the node `viewer` and wait until it is connected to the active segmenter, which may take DDS
    seconds; prints the URL of a viewer in a browser.

    target: see `viewer.viewer.open_viewer`
    """
    viewer = NodeProcess("viewer", folder, ros_parameters({"target": target}), end_s=_VIEWER_END_S)
    deadline = time.monotonic() + _START_TIMEOUT_S
    try:
        while not viewer.find_output("connected to the segmenter"):
            executor.spin_once(timeout_sec=0.1)
            if not viewer.running() or time.monotonic() > deadline:
                raise NodeProcessError(f"the viewer did not start:\n{viewer.tail(5)}")
    except BaseException:
        viewer.stop()
        raise
    if url := viewer.find_output("viewer: http"):
        print(url, flush=True)
    return viewer
