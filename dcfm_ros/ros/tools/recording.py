# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recording of a live run: masks as received, with their times of arrival.

A recording is a folder: `sent.jsonl` (the camera's own log), `masks.jsonl` with the pixels in `masks.bin`,
`info.jsonl` and `keyframes.jsonl`. Stamps are nanoseconds; times of sending and arrival are the machine's
monotonic clock, which all its processes share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SENT, MASKS, PIXELS, INFO, KEYFRAMES = (
    "sent.jsonl",
    "masks.jsonl",
    "masks.bin",
    "info.jsonl",
    "keyframes.jsonl",
)
FILES = SENT, MASKS, PIXELS, INFO, KEYFRAMES


class RecordingWriter:
    """Appends to a recording; bounded memory. For one thread."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {name: (folder / name).open("w") for name in (MASKS, INFO, KEYFRAMES)}
        self._pixels = (folder / PIXELS).open("wb")
        self.masks = self.keyframes = 0

    def mask(self, entry: dict, pixels: memoryview | bytes) -> None:
        """entry: stamp_ns, received_ns, width, height, step, encoding, frame_id."""
        self._write(MASKS, {**entry, "offset": self._pixels.tell(), "bytes": len(pixels)})
        self._pixels.write(pixels)
        self.masks += 1

    def info(self, entry: dict) -> None:
        self._write(INFO, entry)

    def keyframe(self, entry: dict) -> None:
        self._write(KEYFRAMES, entry)
        self.keyframes += 1

    def close(self) -> None:
        for file in (*self._files.values(), self._pixels):
            file.close()

    def _write(self, name: str, entry: dict) -> None:
        self._files[name].write(json.dumps(entry) + "\n")


@dataclass(frozen=True)
class Recording:
    """A finished recording. `masks` is in order of arrival; the others are by stamp or in order."""

    folder: Path
    sent: list[dict]
    masks: list[dict]
    info: dict[int, dict]
    keyframes: list[dict]

    def pixels(self, entry: dict) -> np.ndarray | None:
        """Return the mask (H, W) uint8 of an entry of `masks`; None if its size or encoding is not that of a
        mask."""
        whole = entry["step"] == entry["width"] and entry["bytes"] == entry["height"] * entry["width"]
        if entry["encoding"] != "mono8" or not whole:
            return None
        with (self.folder / PIXELS).open("rb") as file:
            file.seek(entry["offset"])
            return np.frombuffer(file.read(entry["bytes"]), np.uint8).reshape(entry["height"], entry["width"])

    def by_sent(self) -> Iterator[tuple[dict, dict | None]]:
        """Yield each image that was sent, with its mask or None."""
        first: dict[int, dict] = {}
        for mask in self.masks:
            first.setdefault(mask["stamp_ns"], mask)
        for image in self.sent:
            yield image, first.get(image["stamp_ns"])


def read_recording(folder: str | Path) -> Recording:
    folder = Path(folder)
    info = {entry["stamp_ns"]: entry for entry in _lines(folder / INFO)}
    return Recording(folder, _lines(folder / SENT), _lines(folder / MASKS), info, _lines(folder / KEYFRAMES))


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
