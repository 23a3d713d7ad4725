# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a step as a process group of its own, until its end or its limit, and tells in one line how it
ended."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from gpu.lines import line as told
from gpu.results import DONE, FAILED, Outcome
from gpu.steps import ROOT, Step

_LAST_WORDS_S = 2.0  # for what a step that has ended still says
_INTERRUPTED = "interrupted"
_NOISE = "USDT:"  # how lines of PyTorch's profiler begin, for tools that trace processes
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_LONGEST_LINE = 300


def run(step: Step, limit_s: float) -> Outcome:
    """A step that fails, hangs or is killed is an outcome like any other. Interrupted is raised after Ctrl-C
    or SIGTERM."""
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        try:
            code, output, end = _process(step.filled(report, limit_s), limit_s, step.grace_s)
        except OSError as error:
            return Outcome(step.name, FAILED, f"could not be started: {error}", 0.0, step.is_measurement)
        outcome = _outcome(step, code, output, end, _figures(report), time.monotonic() - began)
    if end == _INTERRUPTED:
        raise Interrupted(outcome)
    return outcome


class Interrupted(Exception):
    """The run is to end; what came of the step is in `outcome`."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome.line)
        self.outcome = outcome


def _outcome(step: Step, code: int, output: str, end: str, figures: dict | None, seconds: float) -> Outcome:
    status, line = DONE, _told(step.name, figures, output)
    if end:
        status, line = FAILED, end
    elif code:
        status, line = FAILED, _why(code, output)
    if figures is not None and status == FAILED and figures.get("is_partial"):
        status, line = DONE, f"{figures['line']}; then {line}"  # what was measured until then stands
    return Outcome(step.name, status, line, seconds, step.is_measurement, figures, output)


def _process(command: list[str], limit_s: float, grace_s: float) -> tuple[int, str, str]:
    """Exit code, output, and why it was ended, if it did not end by itself."""
    paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent,
    )
    parts: list[bytes] = []
    reader = threading.Thread(
        target=lambda: parts.extend(iter(lambda: process.stdout.read1(65536), b"")), daemon=True
    )
    reader.start()
    end = ""
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        end = f"stopped after {limit_s:.0f} s, its limit"
    except KeyboardInterrupt:
        end = _INTERRUPTED
    with _deaf():
        _end(process, grace_s)
        reader.join(_LAST_WORDS_S)  # a process that has left the group may hold the other end
    text = b"".join(parts).decode(errors="replace")
    return (
        process.returncode,
        "\n".join(line for line in text.split("\n") if not line.startswith(_NOISE)),
        end,
    )


def _end(process: subprocess.Popen, grace_s: float) -> None:
    """The process by SIGTERM, if it still runs; then all that it has started, too."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_with_parent() -> None:
    """In the child: a runner that is killed takes its step along, which would keep the GPU's memory."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _deaf() -> Iterator[None]:
    """A second Ctrl-C must not keep a step alive."""
    before = {
        number: signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(name: str, figures: dict | None, output: str) -> str:
    try:
        return told(name, figures, output)
    except (
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # the figures are there all the same, and other steps to come
        return f"its figures have another form than expected ({type(error).__name__}: {error})"


def _figures(report: Path) -> dict | None:
    try:
        return json.loads(report.read_text())
    except (OSError, ValueError):  # it got no further, or was killed while it wrote
        return None


def _why(code: int, output: str) -> str:
    if code < 0:
        hint = ", perhaps by the system for want of memory" if code == -signal.SIGKILL else ""
        return f"killed by {signal.Signals(-code).name}{hint}"
    lines = [line.strip() for line in output.replace("\r", "\n").splitlines() if line.strip()]
    if full := next((line for line in reversed(lines) if "No space left on device" in line), ""):
        return full[:_LONGEST_LINE]
    return (lines[-1] if lines else f"ended with exit code {code} and said nothing")[:_LONGEST_LINE]
