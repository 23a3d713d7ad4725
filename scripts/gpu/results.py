# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves, written anew after each step: report.json, report.txt and log.txt."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

_LOG_BYTES = 4_000_000  # in all; of a step that says more the beginning goes
_STEP_BYTES = 300_000

DONE, FAILED, SKIPPED = "done", "failed", "skipped"


@dataclass(frozen=True)
class Outcome:
    """How a step ended. line: for people, one line."""

    name: str
    status: str
    line: str
    seconds: float = 0.0
    is_measurement: bool = True
    figures: dict | None = None
    output: str = field(default="", repr=False)


class Results:
    """The outcomes so far. A disk that is full costs what cannot be written, and nothing else; `problem` then
    tells it."""

    def __init__(self, folder: Path, about: dict):
        self.folder, self.about = folder, about
        self.outcomes: list[Outcome] = []
        self.problem = ""
        self._logged = 0

    @property
    def measured(self) -> bool:
        return any(outcome.status == DONE and outcome.is_measurement for outcome in self.outcomes)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        steps = [
            {key: value for key, value in asdict(one).items() if key not in ("output", "is_measurement")}
            for one in self.outcomes
        ]
        self._write("report.json", json.dumps({**self.about, "steps": steps}, indent=1))
        self._write("report.txt", self.text())
        self._log(outcome)

    def text(self) -> str:
        """All lines, then what the steps have printed of their figures."""
        lines = [summary(outcome) for outcome in self.outcomes] + ([self.problem] if self.problem else [])
        tables = [
            f"=== {outcome.name}\n{outcome.output.strip()}"
            for outcome in self.outcomes
            if outcome.status == DONE
            and outcome.output
            and outcome.name not in ("environment", "tests", "training")
        ]
        return "\n\n".join(["\n".join(lines), *tables]) + "\n"

    def _log(self, outcome: Outcome) -> None:
        text = f"=== {summary(outcome)}\n{outcome.output[-_STEP_BYTES:]}\n"
        if self._logged + len(text) <= _LOG_BYTES:
            self._logged += len(text)
            self._write("log.txt", text, append=True)

    def _write(self, name: str, text: str, append: bool = False) -> None:
        path = self.folder / name
        try:
            if append:
                with path.open("a") as file:
                    file.write(text)
                return
            part = path.with_name(f"{name}.part")
            part.write_text(text)
            os.replace(part, path)
        except OSError as error:
            self.problem = f"{path} could not be written: {error.strerror}"
            with suppress(OSError):
                path.with_name(f"{name}.part").unlink(missing_ok=True)


def summary(outcome: Outcome) -> str:
    seconds = f" in {outcome.seconds:.0f} s" if outcome.status != SKIPPED else ""
    return f"{outcome.name}: {outcome.status}{seconds}{f' - {outcome.line}' if outcome.line else ''}"
