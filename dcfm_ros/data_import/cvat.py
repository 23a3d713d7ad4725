# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CVAT's own XML: `CVAT for images 1.1`, of a project, task or job."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from dcfm_ros.data_import import datumaro_reader
from dcfm_ros.data_import.errors import DataImportError, cause_of
from dcfm_ros.data_import.export import Colour, Export
from dcfm_ros.data_import.unpack import Opened, safe_name

_READ = ("polygon", "mask", "box", "polyline", "points", "tag")  # by datumaro


def read(opened: Opened) -> Export:
    """Read all annotation files of an export."""
    classes: dict[str, Colour | None] = {}
    images: list[Any] = []
    left_out: Counter[str] = Counter()
    for file in opened.ending_in(".xml"):
        name = opened.name_of(file)
        root = _parsed(file, name)
        if root.tag != "annotations":
            continue
        if root.find("track") is not None:
            raise DataImportError(f"{name} is an export for video: export it as `CVAT for images 1.1`")
        for label in root.iterfind("./meta//label"):
            classes[label.findtext("name", "")] = _colour(label.findtext("color"))
        left_out += Counter(
            shape.tag for image in root.iter("image") for shape in image if shape.tag not in _READ
        )
        staged = _staged(opened, root, file, name)
        for subset in dict.fromkeys(image.get("subset") for image in root.iter("image")):
            part = datumaro_reader.read_part("cvat", staged, name, subset=subset or "default")
            images += part.images
            left_out += part.left_out
    if not classes:
        raise DataImportError(f"{opened.source} holds no annotations.xml of CVAT: give another --format")
    return Export(
        opened.source,
        "cvat",
        tuple(classes.items()),
        tuple(images),
        left_out=left_out,
        places=opened.places(),
    )


def _parsed(file: Path, name: str) -> Any:
    try:
        from defusedxml.ElementTree import parse
    except ImportError:
        datumaro_reader.require(name)
        raise
    try:
        return parse(file).getroot()
    except Exception as error:  # of several libraries
        raise DataImportError(
            f"{name} is no whole XML file ({cause_of(error)}): download or export it again"
        ) from error


def _staged(opened: Opened, root: Any, file: Path, name: str) -> Path:
    """Return a copy beside which there is a file for each image: datumaro opens none of them, but asks for
    them, and many exports come without."""
    folder = opened.scratch()
    for image in root.iter("image"):
        placeholder = folder / "images" / safe_name(image.get("name"), name)
        placeholder.parent.mkdir(parents=True, exist_ok=True)
        placeholder.touch()
    return Path(shutil.copy(file, folder / "annotations.xml"))


def _colour(text: str | None) -> Colour | None:
    """Of `#804080`."""
    try:
        red, green, blue = bytes.fromhex((text or "").removeprefix("#"))
    except ValueError:
        return None
    return red, green, blue
