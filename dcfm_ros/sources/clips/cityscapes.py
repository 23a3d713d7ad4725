# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes (Cordts et al., CVPR 2016): snippets of 30 frames at 17 Hz of which one is labelled, or the
labelled stills."""

from __future__ import annotations

import re
from pathlib import Path

from dcfm_ros.sources.classes import CITYSCAPES19
from dcfm_ros.sources.clips.clip import ClipSet
from dcfm_ros.sources.clips.file_clip import FileClip
from dcfm_ros.sources.clips.pairing import refuse_missing
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.label_values import LabelValues
from dcfm_ros.sources.listing import files_in, folders_in

TERMS = (
    "Cityscapes (Cordts et al., CVPR 2016), under the Cityscapes terms of use: non-commercial research and "
    "teaching"
)
RATE_HZ = 17.0
SNIPPET, LABELLED = 30, 19  # frames of a snippet, and which of them, from 0, has the label

_IMAGE_FOLDERS = ("leftImg8bit_sequence", "leftImg8bit")
_IMAGE, _LABEL = "_leftImg8bit.png", "_gtFine_labelTrainIds.png"
_NAME = re.compile(r"(.+)_(\d{6})_(\d{6})")  # city, sequence, frame


def recognises(root: Path) -> bool:
    """Return whether the folder is Cityscapes; used by the table of data sets."""
    return any((root / images).is_dir() for images in _IMAGE_FOLDERS)


def open_split(root: Path, split: str) -> ClipSet:
    """`leftImg8bit_sequence/<split>/<city>/` with `gtFine/<split>/<city>/`, or the stills in
    `leftImg8bit/<split>/<city>/`.

    The frame number of a label file is that of the labelled frame, so its snippet runs from 19 before to 10
    after it.
    """
    name, image_root = f"cityscapes {split}", root / "leftImg8bit_sequence" / split
    before, length = LABELLED, SNIPPET
    if not image_root.is_dir():
        name, image_root = f"cityscapes {split} (stills)", root / "leftImg8bit" / split
        before, length = 0, 1
    label_root = root / "gtFine" / split
    images = _frames(image_root, _IMAGE)
    if not images:
        there = sorted({s for kind in _IMAGE_FOLDERS for s in folders_in(root / kind)})
        raise SourceError(
            f"there are no images of a split {split} in {root}; expected {image_root}/<city>/*{_IMAGE}. "
            f"Splits that are there: {', '.join(there) or 'none'}"
        )
    labels = _labels(label_root)

    missing, clips, used = [], [], set()
    values = LabelValues.built_in(CITYSCAPES19)
    for city, sequence, frame in sorted(labels):
        snippet = [(city, sequence, number) for number in range(frame - before, frame - before + length)]
        used.update(snippet)
        missing += [image_root / city / _file(key, _IMAGE) for key in snippet if key not in images]
        clips.append(
            FileClip(
                _file(snippet[before], ""),
                RATE_HZ,
                image_root / city,
                tuple(_file(key, _IMAGE) for key in snippet),
                label_root / city,
                tuple(_file(key, _LABEL) if key in labels else None for key in snippet),
                values,
            )
        )
    end = None
    for city, sequence, frame in sorted(
        images - used
    ):  # of no label: the first of each such snippet says which is missing
        if end is None or (city, sequence, frame) >= end:
            missing.append(label_root / city / _file((city, sequence, frame + before), _LABEL))
            end = (city, sequence, frame + length)
    refuse_missing(missing, name)
    return ClipSet(name, CITYSCAPES19, tuple(clips), TERMS)


def _labels(folder):
    labels = _frames(folder, _LABEL)
    if not labels:
        raise SourceError(
            f"there are no labels in {folder}; expected <city>/*{_LABEL}, which csCreateTrainIdLabelImgs of "
            "cityscapesScripts makes from gtFine (the split test has no public ones)"
        )
    return labels


def _frames(folder, ending):
    """(city, sequence, frame) of every file with this ending in the folder's cities."""
    frames = set()
    for city in folders_in(folder):
        for name in files_in(folder / city, [ending.lower()]):
            match = _NAME.fullmatch(name[: -len(ending)])
            if match is None or match[1] != city:
                raise SourceError(
                    f"{folder / city / name} is not named as in Cityscapes; "
                    f"expected {city}_<6 digits>_<6 digits>{ending}"
                )
            frames.add((city, int(match[2]), int(match[3])))
    return frames


def _file(key, ending):
    city, sequence, frame = key
    return f"{city}_{sequence:06d}_{frame:06d}{ending}"
