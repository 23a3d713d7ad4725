# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An unfinished output: the folder in which it grows, and its progress."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.names import UNFINISHED
from dcfm_ros.bags.replay import CameraRecord
from dcfm_ros.bags.writing import write_errors_for
from dcfm_ros.files import atomic_write, flush
from dcfm_ros.plain_files import read_json

STATE_FILE = "state.json"


@dataclass
class CameraProgress:
    """Progress of one camera, in image numbers as in `replay.Origin.number`; -1 before the first."""

    keyframe: int = (
        -1
    )  # last keyframe whose mask is written: later masks depend only on it and their own images
    mask: int = -1  # last image whose mask is written
    skipped: int = -1  # last image that was skipped
    classes_ns: int | None = None  # log time at which the class definitions were last written
    keyframes: Counter[str] = field(default_factory=Counter)  # by reason
    record: CameraRecord = field(default_factory=CameraRecord)

    @classmethod
    def of(cls, plain: dict) -> CameraProgress:
        record = plain["record"]
        record["skipped"], record["sizes"] = (
            Counter(record["skipped"]),
            [tuple(size) for size in record["sizes"]],
        )
        return cls(**{**plain, "keyframes": Counter(plain["keyframes"]), "record": CameraRecord(**record)})


@dataclass
class Progress:
    """Content of the closed parts.

    identity: everything the output depends on; it is resumed only if this is unchanged
    """

    identity: dict
    cameras: dict[str, CameraProgress]
    copied: int = 0  # original messages looked at
    metadata: dict | None = None  # of the parts

    @property
    def images(self) -> int:
        """Number of images done, of all cameras."""
        return sum(camera.record.images for camera in self.cameras.values())


class UnfinishedOutput:
    """The folder `<out>.partial`, locked by one process; use it in a `with` statement. Raises BagError."""

    def __init__(self, out: Path):
        self.out, self.folder = out, out.with_name(out.name + UNFINISHED)
        self._descriptor: int | None = None
        self._made: list[Path] = []  # folders above, the innermost first

    def __enter__(self) -> UnfinishedOutput:
        self._check_out()
        self._made = [path for path in self.folder.parents if not path.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(0, "Permission denied")
            self._descriptor = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise BagError(
                f"cannot write to {self.folder} ({error.strerror}): give another output"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise BagError(
                f"another process is writing to {self.folder}: wait for its end, or give another output"
            ) from error
        return self

    def __exit__(self, *_) -> None:
        with suppress(OSError):  # already renamed, or needed to resume
            for path in (self.folder, *self._made):
                path.rmdir()
        if self._descriptor is not None:
            os.close(self._descriptor)

    def load(self) -> Progress | None:
        """Return the progress saved last; None if there is none."""
        file = self.folder / STATE_FILE
        if not file.exists():
            return None
        try:
            plain = read_json(file)
            cameras = {name: CameraProgress.of(camera) for name, camera in plain.pop("cameras").items()}
            progress = Progress(**plain, cameras=cameras)
            for one in (progress, *cameras.values(), *(camera.record for camera in cameras.values())):
                _check_types(one)
            return progress
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            raise BagError(f"{file} cannot be read ({error}): remove {self.folder} to start over") from error

    def save(self, progress: Progress) -> None:
        with write_errors_for(self.folder):
            atomic_write(self.folder / STATE_FILE, json.dumps(progress, default=vars))

    def check(self, saved: Progress, identity: dict) -> None:
        """Raise BagError that says how the requested output differs from the one that was started."""
        differences = [
            f"{name} {_short(saved.identity.get(name))}, now {_short(value)}"
            for name, value in identity.items()
            if saved.identity.get(name) != value
        ]
        if differences:
            raise BagError(
                f"{self.folder} was begun with {'; '.join(differences)}: finish it as it was begun, remove "
                "it to start over, or give another output"
            )

    def keep_only(self, files: Collection[Path]) -> None:
        """Remove what a killed process left: everything but these files and the state."""
        if lost := [file for file in files if not file.is_file()]:
            raise BagError(f"{lost[0]} is gone: remove {self.folder} to start over")
        for path in set(self.folder.iterdir()) - {*files, self.folder / STATE_FILE}:
            with write_errors_for(self.folder):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def conclude(self) -> None:
        """Rename the complete output to its final name."""
        self._check_out()
        with write_errors_for(self.out):
            os.rename(self.folder, self.out)
            flush(self.out.parent)
            (self.out / STATE_FILE).unlink()

    @property
    def is_concluded(self) -> bool:
        return not self.folder.exists()

    def discard(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_out(self) -> None:
        if self.out.exists():
            raise BagError(f"{self.out} exists already: remove it, or give another output")


# Types of fields by their annotations, as far as they are checked.
_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "int | None": (int, type(None)),
    "dict": (dict,),
    "dict | None": (dict, type(None)),
}


def _check_types(plain: Any) -> None:
    """Raise TypeError if a field of a dataclass is not what its annotation says."""
    for field_ in fields(plain):
        value = getattr(plain, field_.name)
        numbers = list(value.values()) if isinstance(value, Counter) else []
        numbers += [side for size in value for side in size] if field_.name == "sizes" else []
        if not isinstance(value, _TYPES.get(str(field_.type), (object,))) or not all(
            isinstance(number, int) for number in numbers
        ):
            raise TypeError(f"{field_.name} is {_short(value)}")


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
