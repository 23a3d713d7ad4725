#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run all tests in several pytest processes, two more at a time than there are cores: `make test`.

Usage: run_tests.py [--at-once N] [arguments of pytest]

A part is a folder of test/ or a few, or some files of a large one. Each has a process of its own: training
forks, and a process in which DDS and inference engines have run is no place to fork from. They share a folder
for caches. The longest parts start first, so that no core is idle at the end. Those of nodes wait for most of
their time. What a part prints comes when it has ended.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Group(NamedTuple):
    """Folders of test/ that share processes."""

    folders: tuple[str, ...]
    minutes: float  # beside others, for the order alone
    count: int = 1  # of parts


# All other folders are small, and share a part. Those of the group of training fork.
GROUPS = (
    Group(("ros",), 20.0, 4),
    Group(("pipeline",), 15.0, 3),
    Group(("bags",), 10.0, 2),
    Group(("evaluation", "benchmark", "scripts", "campaign"), 7.0),
    Group(("training", "distillation", "data_import"), 6.0),
    Group(("model",), 4.0),
)
_NO_TESTS = 5  # pytest's exit status where every test was deselected


class Part(NamedTuple):
    """Tests that share a process."""

    name: str
    paths: list[str]
    minutes: float


def parts(tests: Path) -> list[Part]:
    """All tests of a folder like test/, the longest parts first."""
    found = [Part("package", [str(path) for path in sorted(tests.glob("test_*.py"))], 4.0)]
    for group in GROUPS:
        files = sorted(path for folder in group.folders for path in (tests / folder).rglob("test_*.py"))
        for number in range(group.count):
            name = group.folders[0] + (f" {number + 1}/{group.count}" if group.count > 1 else "")
            paths = [str(path) for path in files[number :: group.count]]
            found.append(Part(name, paths, group.minutes / group.count))
    grouped = {folder for group in GROUPS for folder in group.folders}
    others = sorted(path for path in tests.iterdir() if path.name not in grouped)
    found.append(Part("others", [str(path) for path in others if any(path.rglob("test_*.py"))], 2.0))
    return sorted((part for part in found if part.paths), key=lambda part: -part.minutes)


class Runner:
    """Runs parts, so many at once; `codes` has the exit status of each that has ended."""

    def __init__(self, waiting: list[Part], arguments: list[str]):
        self.codes: dict[str, int] = {}
        self.lines: list[str] = []
        self._waiting, self._arguments = deque(waiting), arguments
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()

    def run(self, at_once: int) -> None:
        threads = [threading.Thread(target=self._lane, daemon=True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._stop()
            raise

    def _lane(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                part = self._waiting.popleft()
                process = subprocess.Popen(
                    ["pytest", "-q", *self._arguments, *part.paths],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
                self._running.add(process)
            began = time.monotonic()
            said, _ = process.communicate()
            with self._lock:
                self._running.discard(process)
                self._tell(part, process.returncode, said, time.monotonic() - began)

    def _tell(self, part: Part, code: int, said: str, seconds: float) -> None:
        self.codes[part.name] = code
        result = (
            re.findall(r"^[=\s]*(\d+ \w+.* in [\d.]+s)", said, re.MULTILINE) or [f"exit status {code}"]
        )[-1]
        self.lines.append(f"{part.name:>14}  {seconds:5.0f} s  {result}")
        print(f"===== {part.name} =====\n{said}", flush=True)

    def _stop(self) -> None:
        with self._lock:
            self._waiting.clear()
            running = list(self._running)
        for process in running:
            try:
                os.killpg(process.pid, signal.SIGINT)
            except ProcessLookupError:
                continue
        for process in running:
            process.wait()


def main(arguments: list[str]) -> int:
    at_once = 2 + len(os.sched_getaffinity(0))
    if arguments[:1] == ["--at-once"]:
        at_once, arguments = int(arguments[1]), arguments[2:]
    # In the background of a shell SIGINT is ignored, and would be by what tests start, which some interrupt.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    # Networks on tiny images gain nothing from threads, and lose much where other parts want the same cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Some containers set it. Each part, and each program that a test starts, would compile all modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    began, runner = time.monotonic(), Runner(parts(ROOT / "test"), arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="dcfm_ros_tests_") as caches:
            os.environ["DCFM_ROS_TEST_CACHES"] = caches
            runner.run(at_once)
    except KeyboardInterrupt:
        return 130
    print("\n".join([*runner.lines, f"all in {time.monotonic() - began:.0f} s"]), flush=True)
    codes = set(runner.codes.values())
    return max(codes - {_NO_TESTS}) if codes != {_NO_TESTS} else _NO_TESTS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
