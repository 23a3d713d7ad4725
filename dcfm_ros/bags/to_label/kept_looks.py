# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the first pass has found so far, kept beside the output until that is whole, so that an interrupted
run goes on."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.bags.names import UNFINISHED
from dcfm_ros.bags.to_label.candidate import Candidate, Looked
from dcfm_ros.bags.to_label.looking import Look
from dcfm_ros.bags.writing import write_errors_for
from dcfm_ros.files import atomic_files

_EVERY_S = 30.0  # so often it is saved
_NAMES = tuple(field.name for field in fields(Candidate))


class KeptLooks:
    """The folder `<out>.partial`."""

    def __init__(self, out: Path):
        self.folder = out.with_name(out.name + UNFINISHED)
        self._saved_s = time.monotonic()

    def load(self, name: str, identity: dict[str, Any]) -> Look:
        """Return what is kept of a recording; nothing if there is none, or if it is of other files, options
        or another model."""
        try:
            with np.load(self._file(name)) as kept:
                about = json.loads(str(kept["about"]))
                if about["identity"] != identity:
                    return Look()
                columns = [kept[field] for field in _NAMES]
            plain = (column.tolist() if column.ndim == 1 else column for column in columns)
            candidates = [Candidate(*values) for values in zip(*plain)]
            known = {(candidate.camera, candidate.index): candidate for candidate in candidates}
            return Look(Looked(**about["looked"]), known, about["is_done"])
        except Exception:  # damaged bytes raise anything; it costs only time
            return Look()

    def save(self, name: str, identity: dict[str, Any], look: Look) -> None:
        """Keep what is known of a recording."""
        about = {"identity": identity, "looked": asdict(look.looked), "is_done": look.is_done}
        candidates = list(look.known.values())
        columns: dict[str, Any] = {
            field: np.array([getattr(one, field) for one in candidates]) for field in _NAMES
        }
        with write_errors_for(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_files(self._file(name)) as (part,), part.open("wb") as file:
                np.savez(file, about=json.dumps(about), **columns)
        self._saved_s = time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._saved_s > _EVERY_S

    def discard(self) -> None:
        """Remove what was kept, and the folder if that was all in it."""
        with suppress(OSError):
            for file in self.folder.glob("*.npz"):
                file.unlink()
            self.folder.rmdir()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
