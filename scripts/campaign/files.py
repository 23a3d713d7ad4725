# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files: mutated files of every kind that the package reads, read as its commands do.

Case n depends on (seed, n) alone. Each must be read, or refused by one of the package's own errors, which
names the file. Anything else is a fault: other errors, the death of the process, more than 2 s or 1 GiB,
files written where none should be, code that ran.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from campaign.progress import Progress

_HANG_S = 60.0  # by the clock without a word, as on a busy machine: the worker is killed
_HANG_CPU_S = 10.0  # of processor time
_LOADING_S = 300.0
_RECORDED = 3  # faults of the same kind that are recorded whole; further ones are counted
_TABLE = "campaign.file_kinds:KINDS"
_SAVE_EVERY = 500
_ROOM = 4 << 30  # bytes


def run(progress: Progress, table: str = _TABLE, hang_s: float = _HANG_S) -> None:
    """Go on with the campaign until this piece's time is over.

    table: where the kinds are, as module:attribute
    hang_s: a case may take so long by the clock
    """
    notes = _Notes(progress)
    with tempfile.TemporaryDirectory(prefix="campaign-", dir=_fast_folder()) as folder:
        root = Path(folder) / "a" / "b" / "root"  # what leaves the folder stays above it
        root.mkdir(parents=True)
        deaths = 0
        while progress.goes_on:
            with _Worker(root, progress, table) as worker:
                begun: dict[str, Any] = {}
                end = ""
                while progress.goes_on and not end:
                    about, end = worker.message(hang_s if begun else _LOADING_S)
                    if "begins" in about:
                        begun = about
                    elif "case" in about:
                        notes.case({**begun, **about})
                        begun, deaths = {}, 0
                if not end:
                    break
                if begun:
                    notes.case({**begun, "outcome": "fault", "what": end, "errors": worker.errors()})
                    continue
            deaths += 1
            if deaths > 2:
                raise RuntimeError(f"the worker {end} before its first case:\n{worker.errors()}")
    notes.write()


def _fast_folder() -> str | None:
    """Return a folder in memory, if there is one with room; None: the temporary folder."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM else None


class _Notes:
    """Writes what came of cases into the progress, with the slowest and the largest case of each kind."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._most: dict[str, dict[str, Any]] = {record["kind"]: record for record in progress.records}
        self._seen = Counter(_signature(fault["what"]) for fault in progress.faults)

    def case(self, about: dict[str, Any]) -> None:
        number, outcome, kind = about.pop("begins"), about.pop("outcome"), about["kind"]
        about.pop("case", None)
        most = self._most.setdefault(
            kind, {"kind": kind, "read": 0, "refused": 0, "fault": 0, "s": 0.0, "mib": 0.0}
        )
        most[outcome] += 1
        for name in ("s", "mib"):
            if about.get(name, 0) > most[name]:
                most[name], most[f"{name}_case"] = round(about[name], 2), number
        if outcome == "fault":
            signature = _signature(about["what"])
            self._seen[signature] += 1
            if self._seen[signature] <= _RECORDED:
                self._progress.fault(number=number, **about)
        self._progress.case(outcome)
        if self._progress.done % _SAVE_EVERY == 0:
            self.write()

    def write(self) -> None:
        self._progress.records[:] = sorted(self._most.values(), key=lambda record: record["kind"])
        self._progress.save()


def _signature(what: str) -> str:
    """Return the kind of a fault: what and where, without values."""
    return what.partition(":")[0] + what.partition(":")[2].partition(" ")[0]


class _Worker:
    """A process that makes cases from the progress's next one on."""

    def __init__(self, root: Path, progress: Progress, table: str):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (removed with the worker)
        program = [sys.executable, str(Path(__file__).with_name("file_worker.py"))]
        root_folder = Path(__file__).parents[2]
        places = [str(root_folder / "scripts"), str(root_folder / "test"), os.environ.get("PYTHONPATH", "")]
        path = os.pathsep.join(filter(None, places))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        self._process = subprocess.Popen(
            [*program, str(root), str(progress.done), str(progress.seed), table],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )
        assert self._process.stdout is not None
        self._pipe, self._rest = self._process.stdout.fileno(), b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)

    def message(self, most_s: float) -> tuple[dict[str, Any], str]:
        """Return the next message; or none, and how the worker ended."""
        ends, most_cpu_s = time.monotonic() + most_s, self._cpu_s() + max(_HANG_CPU_S, most_s / 6)
        while b"\n" not in self._rest:
            if not self._selector.select(min(1.0, max(0.0, ends - time.monotonic()))):
                if time.monotonic() >= ends:
                    return {}, f"hung for {most_s:g} s"
                if self._cpu_s() > most_cpu_s:
                    return {}, f"hung for {_HANG_CPU_S:g} s of processor time"
                continue
            data = os.read(self._pipe, 1 << 16)
            if not data:
                code = self._process.wait()
                return {}, f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line), ""

    def _cpu_s(self) -> float:
        """Return the processor time that it has taken."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def errors(self) -> str:
        """Return the end of what it said on stderr."""
        self._errors.seek(0)
        return self._errors.read()[-1500:].decode(errors="replace")

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._selector.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
