# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads exports with datumaro, the only module that imports it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.data_import.errors import DataImportError, cause_of
from dcfm_ros.data_import.export import Colour, LabelledImage, Shape

# How its kinds of annotations that are no regions are called in notes.
_NAMES = {"bbox": "box", "rotated_bbox": "box", "polyline": "line", "points": "point", "label": "tag"}


@dataclass(frozen=True)
class Read:
    """What datumaro read."""

    classes: tuple[tuple[str, Colour | None], ...]
    images: tuple[LabelledImage, ...]
    left_out: Counter[str]


def read(importer: str, path: Path, name: str, **options: Any) -> Read:
    """Read a folder or file with one of datumaro's importers.

    name: of the export, for messages
    options: of the importer
    """
    environment = _environment(f"{name} is read by it")
    with _errors(name, importer):
        sources = environment.make_importer(importer)(str(path), **options)
        parts = [environment.make_extractor(s["format"], s["url"], **s["options"]) for s in sources]
        return _united([_part(part) for part in parts])


def read_part(extractor: str, path: Path, name: str, by_number: bool = False, **options: Any) -> Read:
    """The same with one of its extractors, which read a single file.

    by_number: annotations are in the order of their numbers, not in that in which datumaro returns them
    """
    environment = _environment(f"{name} is read by it")
    with _errors(name, extractor):
        return _united([_part(environment.make_extractor(extractor, str(path), **options), by_number)])


def detected(path: Path, name: str) -> list[str]:
    """Return the names of datumaro's formats that a folder may have."""
    environment = _environment(f"it recognises what {name} is; or say the format with --format")
    with _errors(name, "any format"):
        return environment.detect_dataset(str(path), depth=1)


def require(name: str) -> None:
    """Raise the error of a missing datumaro, where it is missing."""
    _environment(f"{name} is read by it")


def _environment(purpose: str) -> Any:
    try:
        from datumaro.components.environment import Environment
    except ImportError as error:
        raise DataImportError(
            f"datumaro cannot be imported ({cause_of(error)}), and {purpose}: install it with `pip install "
            "datumaro`, or from a checkout, with newer versions of OpenCV and Pillow than it asks for, with "
            "`pip install --no-deps -r requirements/data.txt`"
        ) from error
    return Environment()


@contextmanager
def _errors(name: str, format: str) -> Iterator[None]:
    """Its errors, of many kinds, are ours; what it logs is left out."""
    logging.disable(logging.WARNING)
    try:
        yield
    except DataImportError:
        raise
    except Exception as error:
        raise DataImportError(
            f"{name} cannot be read as {format} ({cause_of(error)}): export it again, or in another format"
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def _part(extractor: Any, by_number: bool = False) -> Read:
    from datumaro.components.annotation import AnnotationType

    categories = extractor.categories()
    labels = [entry.name for entry in categories[AnnotationType.label].items]
    masks = categories.get(AnnotationType.mask)
    colours: dict[int, Colour] = {}
    for number, (red, green, blue) in (masks.colormap if masks else {}).items():
        colours[number] = int(red), int(green), int(blue)
        if not all(0 <= value <= 255 for value in colours[number]):
            raise ValueError(f"a class has the color {list(colours[number])}, and 0 to 255 are meant")
    left_out: Counter[str] = Counter()
    images = []
    for item in extractor:
        shapes = []
        annotations = item.annotations
        if by_number:
            annotations = sorted(annotations, key=lambda annotation: annotation.id)  # stable
        for annotation in annotations:
            kind = annotation.type.name
            label = getattr(annotation, "label", None)
            if kind not in ("polygon", "mask"):
                left_out[_NAMES.get(kind, kind)] += 1
            elif label is None:
                left_out["shape without a class"] += 1
            else:
                shapes.append(_shape(annotation, kind, labels[int(label)]))
        size = item.media.size if item.media is not None and item.media.has_size else None
        file = Path(getattr(item.media, "path", None) or "").suffix
        images.append(
            LabelledImage(
                str(item.id).replace("\\", "/") + file,
                None if size is None else (int(size[0]), int(size[1])),
                tuple(shapes),
                "" if item.subset == "default" else str(item.subset),
            )
        )
    return Read(
        tuple((name, colours.get(number)) for number, name in enumerate(labels)), tuple(images), left_out
    )


def _shape(annotation: Any, kind: str, label: str) -> Shape:
    if kind == "polygon":
        return Shape(label, (np.reshape(annotation.points, (-1, 2)),), z_order=annotation.z_order or 0)
    return Shape(label, mask=lambda: annotation.image, z_order=annotation.z_order or 0)


def _united(parts: list[Read]) -> Read:
    """One of several, by the names of classes."""
    classes: dict[str, Colour | None] = {}
    for part in parts:
        for name, colour in part.classes:
            classes[name] = classes.get(name) or colour
    images = tuple(image for part in parts for image in part.images)
    return Read(tuple(classes.items()), images, sum((part.left_out for part in parts), Counter()))
