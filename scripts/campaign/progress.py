# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of a campaign that runs in pieces: how far it is, what came of it, and every fault it found."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from dcfm_ros.files import atomic_write

_GROWTH = 0.01  # of resident memory, at most


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return round(psutil.Process(pid).memory_info().rss / 1e6, 1)


class Progress:
    """What one campaign has done so far, in a JSON file; the next piece goes on from there.

    Case number n of a campaign is made from (seed, n) alone, so that any case can be repeated by its number.
    """

    def __init__(self, folder: Path, name: str, goal: int, seconds: float, seed: int = 0):
        """goal: number of cases of the whole campaign; seconds: that this piece may take"""
        self.path = folder / f"{name}.json"
        self.name, self.goal, self.seed = name, goal, seed
        stored = json.loads(self.path.read_text()) if self.path.is_file() else {}
        self.done: int = stored.get("done", 0)
        self.outcomes: Counter[str] = Counter(stored.get("outcomes", {}))
        self.faults: list[dict[str, Any]] = stored.get("faults", [])
        self.records: list[dict[str, Any]] = stored.get("records", [])  # of the campaign's own measures
        self._seconds_before: float = stored.get("seconds", 0.0)
        self._began = time.monotonic()
        self._ends = self._began + seconds
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def goes_on(self) -> bool:
        """Whether there is something left to do, and time for it in this piece."""
        return self.done < self.goal and time.monotonic() < self._ends

    def case(self, outcome: str, number: int = 1) -> None:
        """Count cases that ended as they may, by what came of them."""
        self.done += number
        self.outcomes[outcome] += number

    def fault(self, what: str, **details: Any) -> None:
        """Note something that must not happen; the case itself is counted by `case`."""
        self.faults.append({"what": what, "case": self.done, "seed": self.seed, **details})
        self.save()

    def has_died(self, process: Any, whose: str = "") -> bool:
        """Whether a node's process has ended, which is noted with the last that it said."""
        if process.running():
            return False
        self.fault(f"{whose}the node has died", log=process.text()[-2000:])
        return True

    def compare_memory(self, resident_mb: Sequence[float], whose: str = "") -> None:
        """Note if it has grown by too much from the first to the last."""
        grown = resident_mb[-1] / resident_mb[0] - 1
        if grown > _GROWTH:
            text = f"{whose}resident memory has grown by {100 * grown:.1f} %"
            self.fault(text, resident_mb=resident_mb)

    def save(self) -> None:
        seconds = self._seconds_before + time.monotonic() - self._began
        content = {
            "name": self.name,
            "goal": self.goal,
            "seed": self.seed,
            "done": self.done,
            "seconds": round(seconds, 1),
            "outcomes": dict(self.outcomes.most_common()),
            "faults": self.faults,
            "records": self.records,
        }
        atomic_write(self.path, json.dumps(content, indent=1) + "\n")

    def summary(self) -> str:
        outcomes = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        return f"{self.name}: {self.done} of {self.goal}; {len(self.faults)} faults; {outcomes}"
