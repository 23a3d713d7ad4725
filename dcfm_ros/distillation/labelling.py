# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels frames with the teacher: footage in, a folder of soft labels out."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from dcfm_ros.distillation.footage import Footage
from dcfm_ros.distillation.options import LabellingOptions
from dcfm_ros.distillation.plan import TRAIN, VAL, Group, plan
from dcfm_ros.distillation.store import SoftLabelStore
from dcfm_ros.distillation.teacher import Teacher
from dcfm_ros.model.class_map import ClassMap, read_class_map
from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.image import resized
from dcfm_ros.sources.clips.soft_labels import FORMAT, STRIDE, hard_labels, packed
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.training.warping import MovedStills


def student_classes(teacher: Teacher, class_map: str) -> tuple[tuple[ClassSpec, ...], ClassMap | None]:
    """Return the classes that the teacher's labels have, and the class map that makes them. Raises
    ConfigError."""
    mapped = read_class_map(class_map, teacher.classes) if class_map else None
    if mapped is None:
        return teacher.classes, None
    kept = tuple(ClassSpec(found.name, found.color) for found in mapped.classes)
    if empty := [found.name for found in mapped.classes if not found.sources]:
        raise ConfigError(
            f"class map {class_map}: the teacher has nothing for {', '.join(empty)}; remove these classes, "
            f"or make them of its own: {', '.join(c.name for c in teacher.classes)}"
        )
    return kept, mapped


class Labelling:
    """One pass of the teacher over all footage; frames that are labelled already are left alone."""

    def __init__(
        self,
        teacher: Teacher,
        footage: Sequence[Footage],
        options: LabellingOptions,
        model_size: tuple[int, int],
        folder: Path,
        resume: bool,
    ):
        """model_size: input size of the student (height, width), at which its pictures are kept"""
        self._teacher, self._footage, self._options = teacher, footage, options
        self.classes, self._map = student_classes(teacher, options.class_map)
        names = [c.name for c in self.classes]
        if unknown := sorted(set(options.movable) - set(names)):
            raise ConfigError(f"movable {', '.join(unknown)}: not among the classes {', '.join(names)}")
        self._movable = [names.index(name) for name in options.movable]
        self._model_size = model_size
        self.groups = plan(
            [one.length for one in footage],
            options.frames,
            options.radius,
            options.held_out,
            options.seed,
            options.stills,
        )
        self._store = SoftLabelStore(folder, self._identity(), self.classes, resume)
        self._donor: _Still | None = None

    def run(self) -> dict[str, Any]:
        """Label everything that is not labelled yet; return what was done: frames labelled, frames in all,
        groups left out because a frame was damaged."""
        if self._store.is_whole:
            return {"labelled": 0}
        keys = {key for group in self.groups for key in group.keys}
        missing = {key for key in keys if not self._store.has(key)}
        with tqdm(total=len(keys), initial=len(keys) - len(missing), desc="labelling", unit="frame") as bar:
            for number, one in enumerate(self._footage):
                mine = [
                    group
                    for group in self.groups
                    if group.footage == number and not missing.isdisjoint(group.keys)
                ]
                for _ in self._label(one, mine, missing):
                    bar.update()
        whole = [group for group in self.groups if all(self._store.has(key) for key in group.keys)]
        if not any(group.split == TRAIN for group in whole):
            raise SourceError("none of the frames to label can be read: look at the data")
        self._store.finish({split: self._clips(whole, split) for split in (TRAIN, VAL)})
        left_out = len(self.groups) - len(whole)
        if left_out:
            tqdm.write(f"{left_out} of {len(self.groups)} groups of frames left out: some cannot be read")
        return {"labelled": len(missing), "frames": len(keys), "groups_left_out": left_out}

    def _label(self, footage: Footage, groups: Sequence[Group], missing: set[str]) -> Iterator[str]:
        """Label the missing frames of these groups; yield the key of each."""
        by_frame: dict[int, list[Group]] = {}
        for group in groups:
            for frame in group.frames:
                by_frame.setdefault(frame, []).append(group)
        for index, picture in footage.frames(frozenset(by_frame)):
            picture = resized(picture, input_size(picture.shape[:2], self._model_size))
            if by_frame[index][0].is_still:
                yield from self._label_still(picture, by_frame[index], missing)
                continue
            key = next(
                key
                for group in by_frame[index]
                for frame, key in zip(group.frames, group.keys)
                if frame == index
            )
            if key in missing:
                self._store.add(key, picture, self._soft(picture))
                yield key

    def _label_still(self, picture: np.ndarray, groups: Sequence[Group], missing: set[str]) -> Iterator[str]:
        """Label a still, and for training what a moved camera would have seen of it."""
        still = _Still(picture, hard_labels(self._soft(picture), len(self.classes)))
        for group in groups:
            if missing.isdisjoint(group.keys):
                continue
            pictures = [picture]
            if group.split == TRAIN:
                moved = MovedStills([self._donor or still], self._movable, self._options.radius)
                rng = np.random.default_rng((self._options.seed, zlib.crc32(group.name.encode())))
                first, _, second, _ = moved.pair(still, rng)
                pictures = [first, second]
            for key, shown in zip(group.keys, pictures):  # both, as what moves is in both
                self._store.add(key, shown, self._soft(shown))
                if key in missing:
                    yield key
        self._donor = still  # its things move through the next

    def _soft(self, picture: np.ndarray) -> np.ndarray:
        shares = self._teacher.probabilities(picture)
        if self._map is not None:
            shares = np.stack([shares[list(mapped.sources)].sum(axis=0) for mapped in self._map.classes])
        cells = picture.shape[1] // STRIDE, picture.shape[0] // STRIDE
        return packed(np.stack([_resized(share, cells) for share in shares]))

    def _clips(self, groups: Sequence[Group], split: str) -> list[dict[str, Any]]:
        return [
            {
                "name": f"{self._footage[group.footage].name} {group.frames[0]}",
                "rate_hz": self._footage[group.footage].rate_hz,
                "frames": list(group.keys),
            }
            for group in groups
            if group.split == split
        ]

    def _identity(self) -> dict[str, Any]:
        options = self._options
        names = Counter((one.name, one.length) for one in self._footage)
        return {
            "format": FORMAT,
            "teacher": {"name": self._teacher.name, "sha256": self._teacher.identity},
            "classes": [[c.name, list(c.color)] for c in self.classes],
            "model_size": list(self._model_size),
            "data": [[name, length, count] for (name, length), count in names.items()],
            "topics": list(options.topics),
            "frames": options.frames,
            "radius": options.radius,
            "held_out": options.held_out,
            "stills": options.stills,
            "movable": list(options.movable),
            "seed": options.seed,
            "terms": "; ".join(dict.fromkeys(one.terms for one in self._footage)),
        }


@dataclass(frozen=True)
class _Still:
    """A picture with the teacher's labels, as a clip of one frame."""

    picture: np.ndarray
    labels: np.ndarray
    name = "still"
    length = 1
    rate_hz = 15.0
    labelled = (0,)

    def image(self, index: int) -> np.ndarray:
        return self.picture

    def label(self, index: int) -> np.ndarray:
        return self.labels


def _resized(share: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a map of shares at (width, height)."""
    if share.shape[::-1] == size:
        return share
    shrinks = share.shape[1] > size[0]
    return cv2.resize(share, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
