# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the masks of a clip are made of, each computed once and kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from dcfm_ros.evaluation.reading import ClipReader, Picture
from dcfm_ros.pipeline.backends.base import Backend, Feature


class FeatureStore:
    """Network inputs, labels, independent features S and common contributions of one clip's frames.

    All of them together take at most `memory_bytes`. What was used least recently goes first, and is read or computed
    again when it is asked for: less memory costs time, never another result. For one thread.

    backend: its features have `nbytes`, as arrays and tensors have
    reader: of the clip
    """

    def __init__(self, backend: Backend, reader: ClipReader, memory_bytes: int):
        self._backend, self._reader, self._memory_bytes = backend, reader, memory_bytes
        self._kept: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._bytes = 0

    def put(self, index: int, picture: Picture) -> None:
        """Keep a picture that has been read already."""
        self._keep("image", index, picture.image)
        if picture.label is not None:
            self._keep("label", index, picture.label)

    def label(self, index: int) -> np.ndarray:
        """(H, W) uint8 class ids of a labelled frame."""
        return self._get("label", index, lambda: self._reader.label(index))

    def shallow(self, index: int) -> Feature:
        """S of a frame."""
        return self._get("shallow", index, lambda: self._backend.shallow(self._image(index)))

    def common(self, index: int) -> Feature:
        """Common contribution of a frame."""
        return self._get("common", index, lambda: self._backend.deep(self.shallow(index)))

    def _image(self, index: int) -> np.ndarray:
        """Network input of a frame. It is not kept: with S made of it, it has done its work."""
        image = self._kept.pop(("image", index), None)
        if image is None:
            return self._reader.image(index)
        self._bytes -= image.nbytes
        return image

    def _get(self, kind: str, index: int, make: Callable[[], Any]) -> Any:
        if (kind, index) in self._kept:
            self._kept.move_to_end((kind, index))
            return self._kept[kind, index]
        value = make()
        self._keep(kind, index, value)
        return value

    def _keep(self, kind: str, index: int, value: Any) -> None:
        if (kind, index) in self._kept:
            self._bytes -= self._kept.pop((kind, index)).nbytes
        self._kept[kind, index] = value
        self._bytes += value.nbytes
        while self._bytes > self._memory_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
