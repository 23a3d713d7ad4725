# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`classes.yaml`: what the labels of a user's folder mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError

_KEYS = ("classes", "ignore", "video", "terms")
_EXAMPLE = "classes: [{name: road, color: [128, 64, 128]}, ...]"


@dataclass(frozen=True)
class FolderClasses:
    """A folder's class table and what else `classes.yaml` says."""

    table: ClassTable
    ignore: int  # value in label files that has no class; 255 never has one
    rate_hz: float | None  # of the video that the images are; None: they are stills
    terms: str


def read_classes(path: Path) -> FolderClasses:
    """Read and check `classes.yaml`; a SourceError names what is wrong in it."""
    if not path.is_file():
        raise SourceError(f"there is no {path}; write one as docs/datasets.md shows, with {_EXAMPLE}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SourceError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    _require_keys(path, content, _KEYS, "the file")
    table = _table(path, content.get("classes"))
    ignore = content.get("ignore", IGNORE_LABEL)
    if not _is_whole(ignore) or not len(table) <= ignore <= 255:
        raise SourceError(
            f"{path}: ignore is {ignore}; give a label value that no class has, {len(table)} to 255"
        )
    terms = content.get("terms", "own data, terms not stated")
    if not isinstance(terms, str) or not terms.strip():
        raise SourceError(
            f"{path}: terms is {terms!r}; give source and terms of use of the data as text, or leave it out"
        )
    return FolderClasses(table, ignore, _rate(path, content), " ".join(terms.split()))


def _table(path, classes):
    if not isinstance(classes, list) or not 1 <= len(classes) <= 255:
        raise SourceError(
            f"{path}: classes must be a list of 1 to 255, the first that of label value 0, as in {_EXAMPLE}"
        )
    table = []
    for number, entry in enumerate(classes):
        where = f"class {number}"
        _require_keys(path, entry, ("name", "color"), where)
        name, colour = entry.get("name"), entry.get("color")
        if not isinstance(name, str) or not name:
            raise SourceError(
                f"{path}: {where} is named {name!r}; give a name, in quotes where YAML sees no text"
            )
        if (
            not isinstance(colour, list)
            or len(colour) != 3
            or not all(_is_whole(v) and 0 <= v <= 255 for v in colour)
        ):
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


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)
