# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a step as a process group of its own, until its end or its limit, and tells in one line how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from gpu.lines import line as told
from gpu.results import DONE, FAILED, Outcome
from gpu.steps import ROOT, Step

_GRACE_S = 20.0          # to end by SIGTERM: training saves then
_LONGEST_LINE = 300


def run(step: Step, limit_s: float) -> Outcome:
    """A step that fails, hangs or is killed is an outcome like any other; only Ctrl-C goes on to the caller."""
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        try:
            code, output, in_time = _process(step.filled(report, limit_s), limit_s)
        except OSError as error:
            return Outcome(step.name, FAILED, f"could not be started: {error}", 0.0, step.is_measurement)
        figures = _figures(report)
    status, line = DONE, _told(step.name, figures, output)
    if not in_time:
        status, line = FAILED, f"stopped after {limit_s:.0f} s, its limit"
    elif code:
        status, line = FAILED, _why(code, output)
    if figures is not None and status == FAILED and figures.get("is_partial"):
        status, line = DONE, f"{figures['line']}; then {line}"   # what was measured until then stands
    return Outcome(step.name, status, line, time.monotonic() - began, step.is_measurement, figures, output)


def _process(command: list[str], limit_s: float) -> tuple[int, str, bool]:
    """Exit code, output, and whether it ended by itself."""
    paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1",
                   "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    parts: list[bytes] = []
    reader = threading.Thread(target=lambda: parts.extend(iter(lambda: process.stdout.read1(65536), b"")), daemon=True)
    reader.start()
    in_time = True
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        in_time = False
    finally:   # also after Ctrl-C
        _end(process)
        reader.join(_GRACE_S)
        process.stdout.close() if not reader.is_alive() else None
    return process.returncode, b"".join(parts).decode(errors="replace"), in_time


def _end(process: subprocess.Popen) -> None:
    """The process by SIGTERM, if it still runs; then all that it has started, too."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _told(name: str, figures: dict | None, output: str) -> str:
    try:
        return told(name, figures, output)
    except (LookupError, TypeError, ValueError) as error:   # the figures are there all the same, and other steps to come
        return f"its figures have another form than expected ({type(error).__name__}: {error})"


def _figures(report: Path) -> dict | None:
    try:
        return json.loads(report.read_text())
    except (OSError, ValueError):   # it got no further, or was killed while it wrote
        return None


def _why(code: int, output: str) -> str:
    if code < 0:
        hint = ", perhaps by the system for want of memory" if code == -signal.SIGKILL else ""
        return f"killed by {signal.Signals(-code).name}{hint}"
    lines = [line.strip() for line in output.replace("\r", "\n").splitlines() if line.strip()]
    if full := next((line for line in reversed(lines) if "No space left on device" in line), ""):
        return full[:_LONGEST_LINE]
    return (lines[-1] if lines else f"ended with exit code {code} and said nothing")[:_LONGEST_LINE]
