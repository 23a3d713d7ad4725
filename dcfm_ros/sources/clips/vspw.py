# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""VSPW (Miao et al., CVPR 2021): 5-second videos of all kinds of scenes at 15 Hz, every frame labelled."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.sources.classes import VSPW124
from dcfm_ros.sources.clips.clip import ClipSet
from dcfm_ros.sources.clips.file_clip import FileClip
from dcfm_ros.sources.clips.pairing import Pairing
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.label_values import LabelValues
from dcfm_ros.sources.listing import files_in

TERMS = "VSPW (Miao et al., CVPR 2021), for non-commercial research only"
RATE_HZ = 15.0
SPLITS = ("train", "val", "test")

# Label files count the classes from 1; 0 is "others" and whatever exceeds 124 is void.
_VALUES = LabelValues.built_in(VSPW124, first=1, rest_ignored=True)


def recognises(root: Path) -> bool:
    """Return whether the folder is VSPW; used by the table of data sets."""
    return (root / "data").is_dir() and any((root / f"{split}.txt").is_file() for split in SPLITS)


def open_split(root: Path, split: str) -> ClipSet:
    """The videos that `<split>.txt` lists: `data/<video>/origin/*.jpg` with `data/<video>/mask/*.png`.

    Masks may be missing in the split `test` only, whose labels were held back.
    """
    clips, pairing = [], Pairing(f"vspw {split}")
    for video in _videos(root, split):
        folder = root / "data" / video
        images = files_in(folder / "origin", [".jpg"])
        if not images:
            pairing.missing.append(str(folder / "origin" / "*.jpg"))
        labels = pairing.labels(folder / "origin", images, folder / "mask", required=split != "test")
        clips.append(
            FileClip(video, RATE_HZ, folder / "origin", tuple(images), folder / "mask", labels, _VALUES)
        )
    pairing.check()
    return ClipSet(f"vspw {split}", VSPW124, tuple(clips), TERMS)


def _videos(root, split):
    path = root / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(name.removesuffix(".txt") for name in files_in(root, [".txt"])) or "none"
        raise SourceError(
            f"{path} is missing; it lists the videos of a split. Splits that are there: {there}"
        )
    videos = path.read_text(encoding="utf-8", errors="replace").split()
    if not videos:
        raise SourceError(f"{path} lists no videos; give one name a line")
    if len(set(videos)) < len(videos):
        repeated = next(video for number, video in enumerate(videos) if video in videos[:number])
        raise SourceError(f"{path} lists {repeated} twice; name each video once")
    return videos
