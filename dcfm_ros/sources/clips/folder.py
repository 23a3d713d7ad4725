# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own data: images, labels and a `classes.yaml` that defines the classes."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.sources.clips import soft_labels
from dcfm_ros.sources.clips.classes_file import read_classes
from dcfm_ros.sources.clips.clip import ClipSet
from dcfm_ros.sources.clips.file_clip import FileClip
from dcfm_ros.sources.clips.pairing import Pairing, splits_in
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.listing import files_in, folders_in, images_in
from dcfm_ros.sources.read import IMAGE_ENDINGS

STILL_RATE_HZ = 15.0  # nominal, since one frame has no rate


def recognises(root: Path) -> bool:
    """Return whether the folder is a user's own data; used by the table of data sets."""
    return (root / "classes.yaml").is_file() and not soft_labels.recognises(root)


def open_split(root: Path, split: str) -> ClipSet:
    """`images/` with `labels/<image stem>.png`, in `<root>/<split>/` or, where there are no splits, in
    `<root>` itself.

    With `video: {rate_hz: …}` in classes.yaml the images in natural order are one clip, or each sub-folder of
    `images/` is, and any of them may be unlabelled. Otherwise each image is a still, and needs a label.
    """
    about = read_classes(root / "classes.yaml")
    folder, name = _folder(root, split)
    clips, pairing = [], Pairing(name)
    parts = _parts(folder / "images")
    for part in parts:
        images, labels = folder / "images" / part, folder / "labels" / part
        names = images_in(images)
        matched = pairing.labels(images, names, labels, required=about.rate_hz is None)
        if about.rate_hz is not None:
            runs = [(part or root.resolve().name, tuple(names), matched)]
        else:
            runs = [
                ((Path(part) / image).with_suffix("").as_posix(), (image,), (label,))
                for image, label in zip(names, matched)
            ]
        clips += [
            FileClip(clip, about.rate_hz or STILL_RATE_HZ, images, run, labels, run_labels, about.values)
            for clip, run, run_labels in runs
        ]
    for part in sorted({"", *folders_in(folder / "labels")}.difference(parts)):
        # labels of no image
        pairing.labels(folder / "images" / part, [], folder / "labels" / part, required=False)
    pairing.check()
    if (folder / "labels").is_dir() and not any(clip.labelled for clip in clips):
        raise SourceError(
            f"no image in {folder / 'images'} has a label in {folder / 'labels'}; "
            f"expected, for example, {Path(clips[0].images[0]).stem}.png"
        )
    return ClipSet(name, about.table, tuple(clips), about.terms)


def _folder(root, split):
    """Return the folder of the split, and its name for messages."""
    name, splits, whole = root.resolve().name, splits_in(root), (root / "images").is_dir()
    if splits and whole:
        raise SourceError(
            f"{root} has images/ and also the splits {', '.join(splits)}; keep one of the two layouts"
        )
    if whole:
        return root, f"{name} (no splits)"
    if split not in splits:
        raise SourceError(
            f"there is no split {split} in {root}; expected {root / split / 'images'}. "
            f"Splits that are there: {', '.join(splits) or 'none'}"
        )
    return root / split, f"{name} {split}"


def _parts(images):
    """Return the sub-folders of the images' folder, or "" for itself."""
    direct, parts = files_in(images, IMAGE_ENDINGS), folders_in(images)
    if direct and parts:
        raise SourceError(
            f"{images} has both images and sub-folders, {parts[0]} for one; "
            "put all images in sub-folders, or none"
        )
    return parts or [""]
