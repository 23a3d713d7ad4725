# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clip whose frames and labels are files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dcfm_ros.sources.clips.clip import check_index
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.label_values import LabelValues
from dcfm_ros.sources.read import image_size, read_image, read_label


@dataclass(frozen=True, eq=False)
class FileClip:
    """Frames `image_folder/images[i]` with labels `label_folder/labels[i]`, None for frames without a label.

    values: what the pixels of label files mean
    """

    name: str
    rate_hz: float
    image_folder: Path
    images: tuple[str, ...]
    label_folder: Path
    labels: tuple[str | None, ...]
    values: LabelValues

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
        image = self.image_folder / self.images[index]
        return read_label(self.label_folder / name, image_size(image), image=image, values=self.values)
