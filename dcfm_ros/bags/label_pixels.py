# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label pictures and label messages as class ids of the model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.bags.errors import BagError
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.sources.clips.classes_file import FILE, FolderClasses
from dcfm_ros.sources.label_values import LabelValues, MeaningError, ids_by_name
from dcfm_ros.sources.read import read_label

_OF_IDS = ("mono8", "8UC1")
# By encoding: type of a value, and where red, green, blue and alpha are.
_CHANNELS: dict[str, tuple[str, tuple[int, ...]]] = {
    "mono8": ("u1", (0,)),
    "8UC1": ("u1", (0,)),
    "mono16": ("u2", (0,)),
    "16UC1": ("u2", (0,)),
    "rgb8": ("u1", (0, 1, 2)),
    "rgba8": ("u1", (0, 1, 2, 3)),
    "bgr8": ("u1", (2, 1, 0)),
    "bgra8": ("u1", (2, 1, 0, 3)),
}


@dataclass(frozen=True, eq=False)
class LabelPixels:
    """What the pixels of labels mean. Without a `classes.yaml` they are class ids of the model.

    Methods raise InputError for a label that is of the wrong kind, and MeaningError for one with a value or
    colour that means nothing.
    """

    values: LabelValues | None = None
    ids: np.ndarray | None = None  # (256,) uint8: the model's class id for each class id of `values`

    @classmethod
    def of(cls, about: FolderClasses | None, class_names: Sequence[str]) -> LabelPixels:
        """Return what the content of a `classes.yaml` says, its classes being those of the model of the same
        names; None: there is no such file."""
        if about is None:
            return cls()
        found = about.values.names
        if (ids := ids_by_name(found, class_names)) is None:
            unknown = next(name for name in found if name not in class_names)
            raise BagError(
                f"{about.values.file} has the class {unknown}, which the model does not have; name its "
                f"classes as in the model ({', '.join(class_names)}), or take out those that it does not "
                "have (`ignore: rest` leaves out their labels)"
            )
        return cls(about.values, ids)

    @property
    def encodings(self) -> tuple[str, ...]:
        """Encodings of messages that can be labels."""
        return _OF_IDS if self.values is None else tuple(_CHANNELS)

    def of_png(self, file: Path | bytes, size: tuple[int, int], where: str = "") -> np.ndarray:
        """Return the (H, W) uint8 ids of a PNG, 255 = ignored. size: (height, width) of its image."""
        source = io.BytesIO(file) if isinstance(file, bytes) else file
        try:
            return self._of_model(read_label(source, size, name=where or file, values=self.values))
        except MeaningError:
            raise
        except ValueError as error:
            raise InputError("label", str(error)) from error

    def of_message(self, message: Any, topic: str) -> np.ndarray:
        """Return the (H, W) uint8 ids of a sensor_msgs/Image, 255 = ignored."""
        if message.encoding not in self.encodings:
            remedy = (
                f"publish class ids as {' or '.join(_OF_IDS)}, or put a {FILE} into the recording's folder "
                "that says what their values and colors mean"
                if self.values is None
                else f"publish them as one of {', '.join(self.encodings)}"
            )
            raise InputError("label", f"a label on {topic} has encoding {message.encoding[:40]!r}: {remedy}")
        kind, channels = _CHANNELS[message.encoding]
        height, width, step = message.height, message.width, message.step
        dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
        row = width * len(channels) * dtype.itemsize
        if not height or not width or step < row or len(message.data) < height * step:
            raise InputError(
                "label",
                f"a label on {topic} of {width}x{height} pixels has {len(message.data)} bytes and "
                f"step {step}: it is truncated",
            )
        data = np.ascontiguousarray(message.data[: height * step].reshape(height, step)[:, :row])
        if self.values is None:
            return data
        pixels = data.view(dtype).astype(dtype.newbyteorder("=")).reshape(height, width, len(channels))
        pixels = pixels[..., 0] if len(channels) == 1 else pixels[..., channels]
        try:
            return self._of_model(self.values.class_ids(pixels, None, f"on {topic}"))
        except MeaningError:
            raise
        except ValueError as error:
            raise InputError("label", str(error)) from error

    def _of_model(self, label: np.ndarray) -> np.ndarray:
        return label if self.ids is None else self.ids[label]
