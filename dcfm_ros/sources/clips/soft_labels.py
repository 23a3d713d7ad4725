# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft labels: what a teacher network thinks of unlabelled frames, as a data set that `dcfm distil` writes.

A folder holds `soft_labels.json` (what they were made of, and the clips of each split), `classes.yaml`, and
`frames/` with a JPEG image and a file of labels (`.npz`) for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.plain_files import read_json
from dcfm_ros.sources.clips.classes_file import FILE as CLASSES_FILE
from dcfm_ros.sources.clips.classes_file import read_classes
from dcfm_ros.sources.clips.clip import ClipSet, check_index
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.read import read_image

INDEX_FILE, FRAMES = "soft_labels.json", "frames"
PLAN_FILE = "plan.json"  # there from the start, unlike the index
FORMAT = 1
STRIDE = 4  # pixels of the image for each label, as in the network's output
TOP = 4  # classes kept for each of them
_CODES = 25.0  # the code of a share is the logarithm of 1 / share times this: 255 is one of 0.00004


@dataclass(frozen=True)
class SoftClip:
    """Frames close in time with a teacher's labels. `label` gives the most probable class, `soft` what is
    known of the four most probable."""

    name: str
    rate_hz: float
    folder: Path
    frames: tuple[str, ...]  # stems of the files
    class_count: int

    @property
    def length(self) -> int:
        return len(self.frames)

    @property
    def labelled(self) -> range:
        return range(len(self.frames))

    def image(self, index: int) -> np.ndarray:
        check_index(self, index)
        return read_image(self.folder / f"{self.frames[index]}.jpg")

    def label(self, index: int) -> np.ndarray:
        return hard_labels(self.soft(index), self.class_count)

    def soft(self, index: int) -> np.ndarray:
        """Return (h, w, 2 * TOP) uint8 at a quarter of the image's size; see `packed`."""
        check_index(self, index)
        path = self.folder / f"{self.frames[index]}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                soft = file["soft"]
        except Exception as error:  # damaged bytes make zipfile and NumPy raise anything
            raise SourceError(
                f"{path} is not readable as soft labels ({error}): make them again with dcfm distil"
            ) from error
        if not isinstance(soft, np.ndarray) or soft.dtype != np.uint8 or soft.ndim != 3:
            raise SourceError(f"{path} holds no soft labels: make them again with dcfm distil")
        if soft.shape[2] != 2 * TOP or not soft.size:
            raise SourceError(f"{path} holds no soft labels: make them again with dcfm distil")
        ids = soft[..., :TOP]
        if ((ids >= self.class_count) & (ids != IGNORE_LABEL)).any():
            raise SourceError(f"{path} holds classes that {CLASSES_FILE} does not have: make it again")
        return soft


def packed(shares: np.ndarray) -> np.ndarray:
    """Pack probabilities (classes, h, w) float into (h, w, 2 * TOP) uint8: the ids of the most probable
    classes, falling, then the codes of their shares of the whole (see `_CODES`).

    Where they add up to less than a half, the rest being classes that are ignored, there is no label: all is
    255. So are ids and codes of further classes than there are.
    """
    count = min(TOP, len(shares))
    order = np.argsort(-shares, axis=0, kind="stable")[:count]
    total = shares.sum(axis=0)
    chosen = np.take_along_axis(shares, order, axis=0) / np.maximum(total, 1e-6)
    codes = np.minimum(np.rint(-_CODES * np.log(np.maximum(chosen, 1e-9))), 255)
    soft = np.full((*shares.shape[1:], 2 * TOP), IGNORE_LABEL, np.uint8)
    soft[..., :count] = order.transpose(1, 2, 0)
    soft[..., TOP : TOP + count] = codes.transpose(1, 2, 0)
    soft[..., :TOP][soft[..., TOP:] == 255] = IGNORE_LABEL
    soft[total < 0.5] = IGNORE_LABEL
    return soft


def log_shares(soft: np.ndarray, class_count: int) -> np.ndarray:
    """Return the logarithms of all shares (h, w, class_count + 1) float32, whatever was not kept being about
    zero. The last is that of no label.

    They may be interpolated as the logits that they come from: the difference is the same for all classes.
    """
    ids, logs = soft[..., :TOP], soft[..., TOP:].astype(np.float32) / -_CODES
    found = np.full((*soft.shape[:2], 256), -255.0 / _CODES, np.float32)
    rows, columns = np.indices(soft.shape[:2])
    for number in range(TOP - 1, -1, -1):  # the most probable last: unused ids are all 255
        found[rows, columns, ids[..., number]] = logs[..., number]
    found[..., IGNORE_LABEL] = np.where(ids[..., 0] == IGNORE_LABEL, 0.0, -255.0 / _CODES)
    return np.concatenate([found[..., :class_count], found[..., IGNORE_LABEL:]], axis=2)


def hard_labels(soft: np.ndarray, class_count: int) -> np.ndarray:
    """Return (H, W) uint8 at the image's size, STRIDE times as large: the mask that the teacher gives there,
    255 where there is no label."""
    logs = log_shares(soft, class_count)
    size = soft.shape[1] * STRIDE, soft.shape[0] * STRIDE
    full = [cv2.resize(logs[..., number], size) for number in range(logs.shape[2])]
    label = np.argmax(full, axis=0).astype(np.uint8)
    label[label == class_count] = IGNORE_LABEL
    return label


def recognises(root: Path) -> bool:
    """Return whether the folder holds soft labels, whole or not; used by the table of data sets."""
    return (root / INDEX_FILE).is_file() or (root / PLAN_FILE).is_file()


def open_split(root: Path, split: str) -> ClipSet:
    """The clips of a split, train or val, as `soft_labels.json` lists them."""
    path = root / INDEX_FILE
    if not path.is_file():
        raise SourceError(f"{root} lacks {INDEX_FILE}: its labelling is unfinished; run dcfm distil again")
    table = read_classes(root / CLASSES_FILE).table
    try:
        index = read_json(path)
        if index["format"] != FORMAT:
            raise SourceError(f"{path} has format {index['format']}, this version reads {FORMAT}")
        clips = tuple(
            SoftClip(
                str(clip["name"]),
                float(clip["rate_hz"]),
                root / FRAMES,
                tuple(map(str, clip["frames"])),
                len(table),
            )
            for clip in index["clips"].get(split, [])
        )
        terms = str(index["terms"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path} is damaged ({error}): make it again with dcfm distil") from error
    if not clips:
        there = ", ".join(name for name, found in index["clips"].items() if found) or "none"
        raise SourceError(f"{root} has no split {split}; splits that are there: {there}")
    if odd := next((name for clip in clips for name in clip.frames if Path(name).name != name), None):
        raise SourceError(f"{path} names the frame {odd}, which lies outside {FRAMES}/")
    return ClipSet(f"soft labels {split}", table, clips, terms)
