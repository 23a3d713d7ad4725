# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the images of labels, by their names."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.sources.read import IMAGE_ENDINGS

_UPLOADED = re.compile(r"[0-9a-f]{8}-")  # Label Studio puts it before names of files


class ImageFinder:
    """Images of one or several folders at any depth, by their names with or without endings.

    places: folders, and images themselves
    not_images: names of folders that hold labels
    """

    def __init__(self, places: Iterable[Path], not_images: Iterable[str] = ()):
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        skipped = set(not_images)
        for root in places:
            if root.is_file():
                self._by_name[stem(root.name)].append(root)
            for folder, inner, names in os.walk(root):
                inner[:] = sorted(name for name in inner if name not in skipped and not name.startswith("."))
                for name in sorted(names):
                    if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith("."):
                        self._by_name[stem(name)].append(Path(folder) / name)

    def find(self, name: str, subset: str = "") -> Path | None:
        """Return the image of this name, with forward slashes; DataImportError if several could be meant.

        Of several that in the same folders counts, then that in a folder called like the subset, then that of
        the same ending.
        """
        path = PurePosixPath(name)
        found = self._by_name.get(stem(path.name), [])
        if not found and (prefix := _UPLOADED.match(path.name)):
            return self.find(str(path.with_name(path.name[prefix.end() :])), subset)
        fits = [(_common(file, path), subset in file.parts, file.name == path.name) for file in found]
        best = [file for file, fit in zip(found, fits) if fit == max(fits)]
        if len(best) > 1:
            raise DataImportError(
                f"{best[0]} and {best[1]} could both be the image {name}: remove one, or give the "
                "folder of the right one with --images"
            )
        return best[0] if best else None


def stem(name: str) -> str:
    """Return a name without the ending of an image, if it has one."""
    without, ending = os.path.splitext(name)
    return without if ending.lower() in IMAGE_ENDINGS else name


def own_name(name: str, file: Path) -> str:
    """Return a name without Label Studio's prefix, unless the file found has it, too."""
    prefix = _UPLOADED.match(name)
    return name[prefix.end() :] if prefix and not file.name.startswith(prefix[0]) else name


def short_names(names: Sequence[str]) -> list[str]:
    """Return names for files, without endings: the folders that all have are left out, others become part of
    the name."""
    paths = [PurePosixPath(name) for name in names]
    shared = 0
    while len({path.parts[: shared + 1] for path in paths}) == 1 and len(paths[0].parts) > shared + 1:
        shared += 1
    return ["_".join((*path.parts[shared:-1], stem(path.name))) for path in paths]


def _common(file: Path, name: PurePosixPath) -> int:
    """Return how many folders, from the last on, are the same."""
    count = 0
    for mine, other in zip(reversed(file.parts[:-1]), reversed(name.parts[:-1])):
        if mine != other:
            break
        count += 1
    return count
