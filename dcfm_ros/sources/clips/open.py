# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One door to every labelled data set: `open_clips`."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.sources.clips import camvid, cityscapes, folder, synthetic, vspw
from dcfm_ros.sources.clips.clip import ClipSet
from dcfm_ros.sources.clips.pairing import splits_in
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.listing import files_in, folders_in

KINDS = ("auto", "vspw", "cityscapes", "camvid", "folder", "synthetic")

_LAYOUTS = (
    "VSPW (data/ and train.txt, val.txt or test.txt), Cityscapes (leftImg8bit_sequence/ or leftImg8bit/, and "
    "gtFine/), CamVid (SPLIT/images/0016E5_07959.jpg) or your own (classes.yaml)"
)


def open_clips(source: str, split: str = "val", kind: str = "auto") -> ClipSet:
    """Open a split of a data set. Its folders are listed and files that are missing are named; none is read
    yet.

    source: `synthetic:SEED`, `synthetic:FIRST-LAST`, or the folder of a data set; a folder that is itself
        called synthetic is `./synthetic`
    split: name of the split; synthetic scenes and folders without splits are the same for each
    kind: auto, vspw, cityscapes, camvid, folder (the user's own, with classes.yaml) or synthetic; `auto`
        tells it by the layout and refuses to guess
    """
    if kind not in KINDS:
        raise SourceError(f"kind is {kind}; give one of {', '.join(KINDS)}")
    scheme, _, seeds = str(source).partition(":")
    if scheme == "synthetic" and kind in ("auto", "synthetic"):
        return synthetic.open_synthetic(seeds, split)
    if kind == "synthetic":
        raise SourceError(f"{source} names no synthetic scenes; give synthetic:SEED or synthetic:FIRST-LAST")
    if not split or Path(split).name != split:
        raise SourceError(f"split is {split!r}; give its name, such as train or val")
    root = Path(source)
    if not root.is_dir():
        raise SourceError(f"there is no folder {source}; give the folder of a data set or synthetic:SEED")
    if kind == "auto":
        kind = _kind(root)
    opener = {
        "vspw": vspw.open_vspw,
        "cityscapes": cityscapes.open_cityscapes,
        "camvid": camvid.open_camvid,
        "folder": folder.open_folder,
    }[kind]
    return opener(root, split)


def _kind(root):
    """Which data set's layout the folder has; a SourceError where none or several fit."""
    kinds = []
    if {"train.txt", "val.txt", "test.txt"}.intersection(files_in(root, [".txt"])) and (
        root / "data"
    ).is_dir():
        kinds.append("vspw")
    if {"leftImg8bit_sequence", "leftImg8bit"}.intersection(folders_in(root)):
        kinds.append("cityscapes")
    splits = splits_in(root)
    if (root / "classes.yaml").is_file():
        kinds.append("folder")
    elif splits and all(_is_camvid(root / split / "images") for split in splits):
        kinds.append("camvid")
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise SourceError(f"{root} could be {' or '.join(kinds)}; say which with kind")
    if splits or (root / "images").is_dir():
        raise SourceError(
            f"{root} has images but no classes.yaml, so its labels could mean anything; "
            "write one as docs/datasets.md shows"
        )
    raise SourceError(f"{root} has no known layout; expected {_LAYOUTS}")


def _is_camvid(images):
    """Whether a folder's images are named as CamVid's are."""
    names = files_in(images, [".jpg"])
    return bool(names) and all(camvid.NAME.fullmatch(name) for name in names)
