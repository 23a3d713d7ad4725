# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CamVid (Brostow, Fauqueur and Cipolla, 2009) with 11 classes: drives through Cambridge, stills and one
video."""

from __future__ import annotations

import re
from pathlib import Path

from dcfm_ros.sources.classes import STREET11
from dcfm_ros.sources.clips.clip import ClipSet
from dcfm_ros.sources.clips.file_clip import FileClip
from dcfm_ros.sources.clips.pairing import Pairing, splits_in
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.label_values import LabelValues
from dcfm_ros.sources.listing import files_in

TERMS = "CamVid (Brostow, Fauqueur and Cipolla, 2009) in SegNet's 11 classes, for research"
RATE_HZ = 15.0
SPACING = 2  # between frames at 15 Hz: names count the frames of the 30 Hz camera

DRIVES = ("0001TP", "0006R0", "0016E5", "Seq05VD")
NAME = re.compile(rf"({'|'.join(DRIVES)})_f?(\d+)\.jpg")  # drive, frame


def recognises(root: Path) -> bool:
    """Return whether the folder is CamVid: all images of all splits are named like CamVid's, and there is no
    classes.yaml of a user's own data."""
    splits = {split: files_in(root / split / "images", [".jpg"]) for split in splits_in(root)}
    return (
        bool(splits)
        and not (root / "classes.yaml").is_file()
        and all(names and all(map(NAME.fullmatch, names)) for names in splits.values())
    )


def open_split(root: Path, split: str) -> ClipSet:
    """`<split>/images/*.jpg` with `<split>/labels/*.png`, every frame labelled.

    Frames of a drive whose numbers follow one another at 15 Hz are one clip; a frame without neighbours is a
    still.
    """
    folder = root / split
    images = files_in(folder / "images", [".jpg"])
    if not images:
        raise SourceError(
            f"there are no images in {folder / 'images'}; expected files such as 0016E5_07959.jpg. "
            f"Splits that are there: {', '.join(splits_in(root)) or 'none'}"
        )
    if odd := [name for name in images if NAME.fullmatch(name) is None]:
        raise SourceError(
            f"{folder / 'images' / odd[0]} is not named as in CamVid; expected <drive>_<frame>.jpg "
            f"with a drive of {', '.join(DRIVES)}"
        )
    pairing = Pairing(f"camvid {split}")
    labels = dict(zip(images, pairing.labels(folder / "images", images, folder / "labels", required=True)))
    pairing.check()
    values = LabelValues.built_in(STREET11)
    clips = tuple(
        FileClip(
            Path(run[0]).stem,
            RATE_HZ,
            folder / "images",
            tuple(run),
            folder / "labels",
            tuple(labels[name] for name in run),
            values,
        )
        for run in _runs(images)
    )
    return ClipSet(f"camvid {split}", STREET11, clips, TERMS)


def _runs(images):
    """The images, cut where the drive changes or the next frame at 15 Hz is not there."""
    found = [(NAME.fullmatch(name), name) for name in images]
    numbered = sorted((match[1], int(match[2]), name) for match, name in found if match)
    runs: list[list[str]] = []
    before = None
    for drive, number, name in numbered:
        if before == (drive, number - SPACING):
            runs[-1].append(name)
        else:
            runs.append([name])
        before = drive, number
    return runs
