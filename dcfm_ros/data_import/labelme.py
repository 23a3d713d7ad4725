# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""labelme's JSON, a file for each image. datumaro reads the XML of another tool of that name only."""

from __future__ import annotations

import base64
import io
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from dcfm_ros.data_import.errors import DataImportError, cause_of
from dcfm_ros.data_import.export import Export, LabelledImage, Shape
from dcfm_ros.data_import.json_files import files_of
from dcfm_ros.data_import.unpack import Opened


def read(opened: Opened) -> Export:
    """Read polygons and masks; other shapes are no regions."""
    classes: dict[str, None] = {}
    images = []
    left_out: Counter[str] = Counter()
    for file, content in files_of(opened, "labelme"):
        name = opened.name_of(file)
        try:
            image = _image(content, left_out)
        except Exception as error:  # of values of any kind, and of damaged masks
            raise DataImportError(
                f"{name} is no whole file of labelme ({cause_of(error)}): save it again"
            ) from error
        classes |= dict.fromkeys(shape.label for shape in image.shapes)
        images.append(image)
    return Export(
        opened.source,
        "labelme",
        tuple(classes.items()),
        tuple(images),
        frozenset({"_background_", "__ignore__"}),
        left_out,
        opened.places(),
    )


def _image(content: dict, left_out: Counter[str]) -> LabelledImage:
    size = int(content["imageHeight"]), int(content["imageWidth"])
    shapes = []
    for entry in content["shapes"]:
        kind, label = entry.get("shape_type") or "polygon", str(entry["label"])
        points = np.array(entry["points"], float).reshape(-1, 2)
        if kind == "polygon" and len(points) >= 3:
            shapes.append(Shape(label, (points,)))
        elif kind == "mask":
            shapes.append(_mask(label, points, entry["mask"], size))
        else:
            left_out["box" if kind == "rectangle" else kind] += 1
    # Relative to the JSON file, which may have been moved.
    return LabelledImage(PurePosixPath(content["imagePath"].replace("\\", "/")).name, size, tuple(shapes))


def _mask(label: str, points: np.ndarray, packed: str, size: tuple[int, int]) -> Shape:
    """A mask is a PNG of the rectangle from one point to the other, both of them inside."""
    left, top = points[0].astype(int)
    with Image.open(io.BytesIO(base64.b64decode(packed)), formats=["PNG"]) as picture:
        if picture.width > size[1] - left or picture.height > size[0] - top or min(left, top) < 0:
            raise ValueError(f"a mask of {label} reaches out of the image")
        part = np.array(picture.convert("L")) > 0

    def whole() -> Any:
        mask = np.zeros(size, bool)
        mask[top : top + part.shape[0], left : left + part.shape[1]] = part
        return mask

    return Shape(label, mask=whole)
