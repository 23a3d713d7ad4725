# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`classes.yaml`: what the labels of a user's folder mean."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dcfm_ros.plain_files import PlainFileError, read_yaml
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.clips.class_values import is_colour, read_label_values
from dcfm_ros.sources.data_sets import CLASS_TABLES, class_table
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.label_values import LabelValues

FILE = "classes.yaml"
_KEYS = ("classes", "ignore", "video", "terms", "labels")
_EXAMPLE = "classes: [{name: road, color: [128, 64, 128]}, ...]"


@dataclass(frozen=True)
class FolderClasses:
    """A folder's class table and what else `classes.yaml` says."""

    table: ClassTable
    values: LabelValues  # what the pixels of label pictures mean
    rate_hz: float | None  # of the video that the images are; None: they are stills
    terms: str


def read_classes(path: Path) -> FolderClasses:
    """Read and check `classes.yaml`; a SourceError names what is wrong in it."""
    if not path.is_file():
        raise SourceError(f"there is no {path}; write one as docs/datasets.md shows, with {_EXAMPLE}")
    try:
        content = read_yaml(path)
    except (OSError, PlainFileError) as error:
        raise SourceError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    _require_keys(path, content, _KEYS, "the file")
    table = _table(path, content.get("classes"))
    values = read_label_values(path, content, table)
    terms = content.get("terms", "own data, terms not stated")
    if not isinstance(terms, str) or not terms.strip():
        raise SourceError(
            f"{path}: terms is {terms!r}; give source and terms of use of the data as text, or leave it out"
        )
    return FolderClasses(table, values, _rate(path, content), " ".join(terms.split()))


def classes_of_labels(folder: Path) -> FolderClasses | None:
    """Read the `classes.yaml` that belongs to a folder of labels: in it, beside it, or in the data folder
    whose labels it has. None if there is none."""
    folder = Path(os.path.abspath(folder))
    places = [folder, folder.parent]
    labels = next((place for place in places if place.name == "labels"), None)
    if labels is not None:  # of DATA/labels/PART, DATA/SPLIT/labels and DATA/SPLIT/labels/PART
        places.append(labels.parent)
        if (labels.parent / "images").is_dir():
            places.append(labels.parent.parent)
    found = next((place / FILE for place in places if (place / FILE).is_file()), None)
    return None if found is None else read_classes(found)


def named_classes(given: str) -> ClassTable:
    """Return the class table of a name in CLASS_TABLES, or of a file like `classes.yaml`."""
    return class_table(given) if given in CLASS_TABLES else read_classes(Path(given)).table


def classes_text(table: ClassTable, **more: Any) -> str:
    """Return the content of a `classes.yaml` with these classes, and further keys."""
    plain = {"classes": [{"name": name, "color": list(color)} for name, color in table], **more}
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, allow_unicode=True)


def _table(path, classes):
    if not isinstance(classes, list) or not 1 <= len(classes) <= 255:
        raise SourceError(
            f"{path}: classes must be a list of 1 to 255, the first that of label value 0, as in {_EXAMPLE}"
        )
    table = []
    for number, entry in enumerate(classes):
        where = f"class {number}"
        _require_keys(path, entry, ("name", "color", "values"), where)
        name, colour = entry.get("name"), entry.get("color")
        if not isinstance(name, str) or not name:
            raise SourceError(
                f"{path}: {where} is named {name!r}; give a name, in quotes where YAML sees no text"
            )
        if not is_colour(colour):
            raise SourceError(
                f"{path}: the color of {where} {name} is {colour!r}; give red, green and blue of 0 to 255"
            )
        table.append((name, tuple(colour)))
    names = [name for name, _ in table]
    if repeated := [name for number, name in enumerate(names) if name in names[:number]]:
        raise SourceError(f"{path}: two classes are called {repeated[0]}; give each its own name")
    return tuple(table)


def _rate(path, content):
    if "video" not in content:
        return None
    _require_keys(path, content["video"], ("rate_hz",), "video")
    rate = content["video"].get("rate_hz")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not (rate > 0 and math.isfinite(rate)):
        raise SourceError(f"{path}: rate_hz of video is {rate!r}; give the images per second, above 0")
    return float(rate)


def _require_keys(path, content, known, where):
    if not isinstance(content, dict):
        raise SourceError(
            f"{path}: {where} must have keys of {', '.join(known)}, but is {content!r}; see {_EXAMPLE}"
        )
    if unknown := sorted(str(key) for key in content if key not in known):
        raise SourceError(f"{path}: {where} has the unknown key {unknown[0]}; known are {', '.join(known)}")
