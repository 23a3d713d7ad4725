# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clip whose frames and labels are files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.sources.clips.clip import check_index
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.read import image_size, read_image, read_label


@dataclass(frozen=True, eq=False)
class FileClip:
    """Frames `image_folder/images[i]` with labels `label_folder/labels[i]`, None for frames without a label.

    class_count: label values from here on, other than 255, are errors
    class_ids: (256,) uint8, the class id for each value of a label file; None if files contain class ids
    """

    name: str
    rate_hz: float
    image_folder: Path
    images: tuple[str, ...]
    label_folder: Path
    labels: tuple[str | None, ...]
    class_count: int
    class_ids: np.ndarray | None = None

    @property
    def length(self) -> int:
        return len(self.images)

    @cached_property
    def labelled(self) -> tuple[int, ...]:
        return tuple(index for index, label in enumerate(self.labels) if label is not None)

    def image(self, index: int) -> np.ndarray:
        check_index(self, index)
        return read_image(self.image_folder / self.images[index])

    def label(self, index: int) -> np.ndarray:
        check_index(self, index)
        name = self.labels[index]
        if name is None:
            raise SourceError(
                f"frame {index} of {self.name}, {self.images[index]}, has no label; see `labelled`"
            )
        path = self.label_folder / name
        image = self.image_folder / self.images[index]
        label = read_label(path, image_size(image), image=image)
        if self.class_ids is not None:
            label = self.class_ids[label]
        wrong = (label >= self.class_count) & (label != IGNORE_LABEL)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise SourceError(
                f"label {path} holds {label[row, column]} at row {row}, column {column}, but there are "
                f"{self.class_count} classes; use 0 to {self.class_count - 1}, or {IGNORE_LABEL} for no class"
            )
        return label
