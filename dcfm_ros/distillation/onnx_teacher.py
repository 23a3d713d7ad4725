# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX file as the teacher."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from dcfm_ros.distillation.options import LabellingOptions
from dcfm_ros.distillation.teacher import softmax
from dcfm_ros.files import sha256_of
from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.image import resized
from dcfm_ros.model.importing.class_names import numbered
from dcfm_ros.pipeline.backends.onnx_file import OnnxFile
from dcfm_ros.sources.clips.classes_file import named_classes

_DEFAULT_SIZE = (512, 512)  # of a network that takes any size
_SUM, _SPREAD = 0.02, 1e-3  # how far from 1 the sum of what are probabilities may be


class OnnxTeacher:
    """A network with one image as input, (1, 3, H, W) or (1, H, W, 3), float (normalised here) or uint8; and
    as first output logits or probabilities (1, classes, h, w), or class ids (1, h, w) or (1, 1, h, w)."""

    folder: Path | None = None

    def __init__(self, options: LabellingOptions):
        path = Path(options.teacher)
        self._network = OnnxFile(path)
        self.name, self.identity = path.name, sha256_of(path)
        self._mean, self._std = (
            np.array(values, np.float32) * 255.0 for values in (options.mean, options.std)
        )
        self._channels_last, self._size = _layout(path, self._network.shape)
        self._path = path
        output = self._output(np.zeros((*(self._size or _DEFAULT_SIZE), 3), np.uint8))
        self._gives_ids = output.dtype.kind in "iu" or output.shape[0] == 1
        self.classes = self._table(options.classes, None if self._gives_ids else output.shape[0])

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        size = self._size or input_size(picture.shape[:2], _DEFAULT_SIZE)
        output = self._output(resized(picture, size))
        count = len(self.classes)
        if self._gives_ids:
            ids = output[0].astype(np.int64)
            if ids.max(initial=0) >= count and not (ids[ids >= count] == 255).all():
                raise ConfigError(
                    f"{self._path} gives the class {ids[ids >= count].max()}, but --classes has {count}: "
                    "give all of its classes"
                )
            return (ids == np.arange(count)[:, None, None]).astype(np.float32)
        if _are_probabilities(output):
            return output.astype(np.float32)
        return softmax(output.astype(np.float32))

    def stop(self) -> None:
        """ONNX Runtime ends its threads with the session."""

    def _output(self, picture: np.ndarray) -> np.ndarray:
        """Return (classes, h, w), or (1, h, w) for class ids."""
        pixels = (
            picture
            if self._network.dtype == np.uint8
            else (picture.astype(np.float32) - self._mean) / self._std
        )
        if not self._channels_last:
            pixels = pixels.transpose(2, 0, 1)
        output = self._network.run(np.ascontiguousarray(pixels[None]))
        shape, size = output.shape, picture.shape[:2]
        if output.ndim == 3 and shape[0] == 1:
            output = output[None]
        elif output.ndim == 4 and output.dtype.kind == "f" and _is_last(shape, size):
            output = output.transpose(0, 3, 1, 2)
        if output.ndim != 4 or output.shape[0] != 1 or not _fits(output.shape[2:], size):
            raise ConfigError(
                f"{self._path}: its first output has the shape {tuple(shape)} for an image of "
                f"{size[1]}x{size[0]}, which is no segmentation; expected (1, classes, h, w) or (1, h, w)"
            )
        if output.dtype.kind == "f" and not np.isfinite(output).all():
            raise ConfigError(f"{self._path} gives values that are not finite: its training or export failed")
        return output[0]

    def _table(self, given: str, count: int | None) -> tuple[ClassSpec, ...]:
        if not given:
            if count is None:
                raise ConfigError(
                    f"{self._path} gives class ids, so their number is unknown: name its classes by --classes"
                )
            return numbered(count)
        rows = named_classes(given)
        if count is not None and len(rows) != count:
            raise ConfigError(
                f"{self._path} has {count} classes, but --classes names {len(rows)}: give as many"
            )
        return tuple(ClassSpec(name, color) for name, color in rows)


def _layout(path: Path, sides: tuple[int | None, ...]) -> tuple[bool, tuple[int, int] | None]:
    """Return whether channels come last, and the size (height, width) that the network demands, if any."""
    if len(sides) != 4 or sides[0] not in (1, None) or (3 not in (sides[1], sides[3])):
        raise ConfigError(f"{path}: its input has the shape {list(sides)}; expected one image, (1, 3, H, W)")
    channels_last = sides[1] != 3
    height, width = sides[1:3] if channels_last else sides[2:4]
    return channels_last, None if height is None or width is None else (height, width)


def _are_probabilities(output: np.ndarray) -> bool:
    return bool(
        output.min() >= -_SPREAD and output.max() <= 1 + _SPREAD and abs(output.sum(axis=0) - 1).max() < _SUM
    )


def _fits(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Does an output of this height and width lie over a picture of this size? Networks give the whole, a
    quarter, or an eighth of it."""
    return all(side // 32 <= cells <= side for cells, side in zip(shape, size)) and min(shape) > 1


def _is_last(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Do the classes come last? Then the sides before them have the picture's aspect ratio."""
    return _stretch(shape[1:3], size) < _stretch(shape[2:4], size)


def _stretch(shape: tuple[int, ...], size: tuple[int, int]) -> float:
    return abs(math.log(shape[0] * size[1] / (max(shape[1], 1) * size[0]))) if shape[0] else math.inf
