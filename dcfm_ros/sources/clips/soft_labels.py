# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft labels: what a teacher network thinks of unlabelled frames, as a data set that `dcfm distil` writes.

A folder holds `soft_labels.json` (what they were made of, and the clips of each split), `classes.yaml`, and
`frames/` with a JPEG image and a file of labels (`.npz`) for each frame.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.sources.clips.classes_file import read_classes
from dcfm_ros.sources.clips.clip import ClipSet, check_index
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.read import read_image

INDEX_FILE, CLASSES_FILE, FRAMES = "soft_labels.json", "classes.yaml", "frames"
PLAN_FILE = "plan.json"  # there from the start, unlike the index
FORMAT = 1
STRIDE = 4  # pixels of the image for each label, as in the network's output
TOP = 4  # classes kept for each of them


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
        return hard_labels(self.soft(index))

    def soft(self, index: int) -> np.ndarray:
        """Return (h, w, 2 * TOP) uint8 at a quarter of the image's size; see `packed`."""
        check_index(self, index)
        path = self.folder / f"{self.frames[index]}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                soft = file["soft"]
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise SourceError(
                f"{path} is not readable as soft labels ({error}): make them again with dcfm distil"
            ) from error
        ids = soft[..., :TOP]
        if soft.dtype != np.uint8 or soft.ndim != 3 or soft.shape[2] != 2 * TOP:
            raise SourceError(f"{path} holds no soft labels: make them again with dcfm distil")
        if ((ids >= self.class_count) & (ids != IGNORE_LABEL)).any():
            raise SourceError(f"{path} holds classes that {CLASSES_FILE} does not have: make it again")
        return soft


def packed(shares: np.ndarray) -> np.ndarray:
    """Pack probabilities (classes, h, w) float into (h, w, 2 * TOP) uint8: the ids of the most probable
    classes, falling, then their shares of the whole times 255.

    Where they add up to less than a half, the rest being classes that are ignored, there is no label: the
    ids are 255. Ids beyond the number of classes are 255, too, with a share of 0.
    """
    count = min(TOP, len(shares))
    order = np.argsort(-shares, axis=0, kind="stable")[:count]
    chosen = np.take_along_axis(shares, order, axis=0)
    total = shares.sum(axis=0)
    chosen = chosen / np.maximum(total, 1e-6)
    soft = np.zeros((*shares.shape[1:], 2 * TOP), np.uint8)
    soft[..., :TOP] = IGNORE_LABEL
    soft[..., :count] = order.transpose(1, 2, 0)
    soft[..., TOP : TOP + count] = np.rint(255 * chosen).transpose(1, 2, 0)
    soft[..., :TOP][soft[..., TOP:] == 0] = IGNORE_LABEL
    nothing = total < 0.5
    soft[nothing, :TOP], soft[nothing, TOP:] = IGNORE_LABEL, 0
    return soft


def hard_labels(soft: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8 at the image's size: the most probable class, 255 where there is no label."""
    return soft[..., 0].repeat(STRIDE, axis=0).repeat(STRIDE, axis=1)


def soft_of_hard(label: np.ndarray) -> np.ndarray:
    """Return the soft labels (h, w, 2 * TOP) that hard ones (H, W) stand for, at a quarter of the size."""
    quarter = label[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    soft = np.zeros((*quarter.shape, 2 * TOP), np.uint8)
    soft[..., :TOP] = IGNORE_LABEL
    soft[..., 0] = quarter
    soft[..., TOP] = np.where(quarter == IGNORE_LABEL, 0, 255)
    return soft


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
        index = json.loads(path.read_text(encoding="utf-8"))
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
