# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the image of each label lies, and what both are called in the data folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Export, LabelledImage, sources_of
from dcfm_ros.data_import.finding import ImageFinder, own_name, short_names
from dcfm_ros.data_import.options import DataImportOptions
from dcfm_ros.data_import.splitting import by_subsets, recording_of, split
from dcfm_ros.sources.read import image_size
from dcfm_ros.sources.to_label import ToLabel

_SHOWN = 3


@dataclass(frozen=True)
class Placed:
    """A labelled image with its files.

    name: in the data folder, without ending
    file: the image
    clip: files of its clip by their names there, the image among them; empty: there are no neighbours
    label_name: name of the label in the clip
    recording: what it is a frame of, as far as is known
    """

    image: LabelledImage
    name: str
    file: Path
    size: tuple[int, int]
    recording: str
    clip: dict[str, Path] = field(default_factory=dict)
    label_name: str = ""
    split: str = ""


def placed(exports: Sequence[Export], options: DataImportOptions, frames: ToLabel | None) -> list[Placed]:
    """Find the files of all images in which something is drawn; others were not labelled, unless the pixels
    without a shape are to have a class."""
    found: list[Placed] = []
    missing: list[str] = []
    given = ImageFinder([Path(options.images)]) if options.images else None
    if options.images and not Path(options.images).is_dir():
        raise DataImportError(f"--images {options.images} is no folder: give the folder of the images")
    for export in exports:
        images = [image for image in export.images if options.background or export.drawn(image)]
        own = ImageFinder(export.places, export.not_images)
        for image, short in zip(images, short_names([image.name for image in images])):
            frame = frames.frame(image.name) if frames else None
            if frame is not None:
                folder = Path(options.frames)
                clip = {name: folder / path for name, path in frame.clip_files().items()}
                file = folder / frame.image
                found.append(
                    Placed(image, frame.name, file, image_size(file), frame.recording, clip, frame.label_name)
                )
                continue
            at = (given.find(image.name) if given else None) or own.find(image.name, image.subset)
            if at is None:
                missing.append(image.name)
                continue
            name = own_name(short, at)
            found.append(Placed(image, name, at, image_size(at), recording_of(name)))
    _refuse_missing(missing, options, sources_of(exports))
    for one in found:
        _check_size(one)
    _refuse_repeated(found)
    return found


def with_splits(images: list[Placed], share: float | None) -> tuple[list[Placed], str]:
    """Say of each image in which split it is, and how that was chosen, in words."""
    if share is None:
        splits = by_subsets([one.image.subset for one in images])
        if splits is None:
            return images, ""
        return [replace(one, split=name) for one, name in zip(images, splits)], "as the export says"
    if len(images) < 2:
        raise DataImportError("--val needs at least two labelled images, and there is one: leave it out")
    names = [one.name for one in images]
    val, how = split(names, {one.name: one.recording for one in images}, share)
    return [replace(one, split="val" if one.name in val else "train") for one in images], how


def _refuse_missing(missing: list[str], options: DataImportOptions, export: str) -> None:
    if not missing:
        return
    rest = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    where = " or ".join(place for place in (options.frames, options.images, f"the export {export}") if place)
    raise DataImportError(
        f"{len(missing)} labelled image(s) are not in {where}: {', '.join(missing[:_SHOWN])}{rest}. Give the "
        "folder of the images with --images, or export with images"
    )


def _refuse_repeated(images: list[Placed]) -> None:
    by_name: dict[str, Placed] = {}
    for one in images:
        other = by_name.setdefault(one.name, one)
        if other is not one:
            which = (
                one.image.name
                if one.image.name == other.image.name
                else f"{other.image.name}, {one.image.name}"
            )
            raise DataImportError(
                f"two labelled images are called {one.name} ({which}): rename one, or leave one of the "
                "exports out"
            )


def _check_size(one: Placed) -> None:
    wanted = one.image.size
    if wanted is None or wanted == one.size:
        return
    remedy = "give the images that were labelled (--images FOLDER)"
    with Image.open(one.file) as picture:
        if wanted == picture.size[::-1]:
            remedy = (
                "the labels lie on the stored pixels, which the EXIF orientation of the image turns: turn "
                "the images before they are labelled (mogrify -auto-orient)"
            )
    raise DataImportError(
        f"the labels of {one.image.name} are for {wanted[1]}x{wanted[0]}, but {one.file} is "
        f"{one.size[1]}x{one.size[0]}: {remedy}"
    )
