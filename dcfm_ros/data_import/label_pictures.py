# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of label pictures: PNGs called like their images, as an image editor saves them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Export, LabelledImage, Shape
from dcfm_ros.data_import.unpack import Opened
from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.clips.classes_file import FILE, classes_of_labels
from dcfm_ros.sources.label_values import LabelValues, counted
from dcfm_ros.sources.read import image_size, read_label


def read(opened: Opened, known: ClassTable | None) -> Export:
    """Read label pictures with class ids or colours.

    known: the classes, where there is no classes.yaml in the folder or beside it
    """
    files = _pictures(opened)
    about = None if opened.kind == "zip" else classes_of_labels(files[0].parent)
    if about is None and (opened.root / FILE).is_file():
        about = classes_of_labels(opened.root)
    if about is not None:
        table, values = about.table, about.values
    elif known:
        table = known
        names, colours = tuple(name for name, _ in known), tuple((colour,) for _, colour in known)
        values = LabelValues(names, counted(len(names)), colours, file="the class list")
    else:
        raise DataImportError(
            f"{opened.source} holds label pictures, and nothing says what their values mean: give the "
            f"classes with --classes or --frames, or put a {FILE} there (docs/datasets.md)"
        )
    folder = files[0].parent
    images = tuple(
        LabelledImage(
            file.relative_to(folder).with_suffix("").as_posix(), image_size(file), _shapes(file, values)
        )
        for file in files
    )
    with_images = "labels" in folder.relative_to(opened.root).parts
    return Export(
        opened.source,
        "png",
        tuple(table),
        images,
        places=opened.places() if with_images else (),
        not_images=frozenset({"labels"}),
    )


def _pictures(opened: Opened) -> list[Path]:
    """Return the label pictures: those in labels/, where there are images, too."""
    files = opened.ending_in(".png")
    if within := [file for file in files if "labels" in file.relative_to(opened.root).parts]:
        files = within
    if not files:
        raise DataImportError(f"{opened.source} holds no PNG files: give another --format")
    return files


def _shapes(file: Path, values: LabelValues) -> tuple[Shape, ...]:
    """A region for each class in the picture."""

    @lru_cache(maxsize=1)
    def ids() -> np.ndarray:
        return read_label(file, image_size(file), values=values)

    present = [number for number in np.unique(ids()) if number != IGNORE_LABEL]
    ids.cache_clear()  # the classes are known; pixels are read again when they are painted
    return tuple(
        Shape(values.names[number], mask=lambda number=number: ids() == number)  # type: ignore[misc]
        for number in present
    )
