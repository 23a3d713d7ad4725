# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matches images and labels of a data set, using only the listings of its folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.listing import files_in, folders_in
from dcfm_ros.sources.names import natural_key

_SHOWN = 3  # missing files that an error names


def splits_in(root: Path) -> list[str]:
    """Return the names of the folders in `root` that contain `images/`."""
    return [name for name in folders_in(root) if (root / name / "images").is_dir()]


class Pairing:
    """Finds the label of each image by its stem, and collects what is missing, to report it in a single
    error."""

    def __init__(self, what: str):
        self.what = what  # for the error: the data set and split
        self.missing: list[str] = []  # paths

    def labels(
        self, image_folder: Path, images: Sequence[str], label_folder: Path, required: bool
    ) -> tuple[str | None, ...]:
        """Return the names in `label_folder` of the labels of `images`, None for those without.

        required: an image without label counts as a missing file. A label without image always does.
        """
        stems = [os.path.splitext(name)[0] for name in images]
        if len(set(stems)) < len(stems):
            repeated = next(stem for stem in stems if stems.count(stem) > 1)
            raise SourceError(
                f"{image_folder} has several images named {repeated}; rename them, since they share a label"
            )
        found = {os.path.splitext(name)[0]: name for name in files_in(label_folder, [".png"])}
        labels = tuple(found.get(stem) for stem in stems)
        if required:
            self.missing += [
                str(label_folder / f"{stem}.png") for stem, label in zip(stems, labels) if label is None
            ]
        ending = os.path.splitext(images[0])[1] if images else ".jpg"
        without = sorted(set(found).difference(stems), key=natural_key)
        self.missing += [str(image_folder / f"{stem}{ending}") for stem in without]
        return labels

    def check(self):
        """Raise SourceError for a data set that lacks files."""
        refuse_missing(self.missing, self.what)


def refuse_missing(paths: Iterable[str | Path], what: str):
    """Raise SourceError with the number of missing files and the first of them, if there are any."""
    names = [str(path) for path in paths]
    if names:
        rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise SourceError(
            f"{what} lacks {len(names)} file(s): {', '.join(names[:_SHOWN])}{rest}; "
            "add them, or remove their counterparts"
        )
