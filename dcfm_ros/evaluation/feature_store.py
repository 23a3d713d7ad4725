# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the masks of a clip are made of, each computed once and kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from dcfm_ros.evaluation.read_ahead import ClipReader, Picture
from dcfm_ros.motion.flow import DenseInverseSearch, View, flow_map
from dcfm_ros.motion.maps import composed
from dcfm_ros.motion.track import checked_motion
from dcfm_ros.pipeline.backends.base import Backend, Feature


class FeatureStore:
    """Network inputs, labels, independent features S, common contributions and motion of one clip's frames.

    All of them together take at most `memory_bytes`. What was used least recently goes first, and is read or
    computed again when it is asked for: less memory costs time, never another result. For one thread.

    backend: its features have `nbytes`, as arrays and tensors have
    reader: of the clip
    moves: will motion be asked for, so that what it is estimated on is worth keeping?
    """

    def __init__(self, backend: Backend, reader: ClipReader, memory_bytes: int, moves: bool = False):
        self._backend, self._reader, self._memory_bytes, self._moves = backend, reader, memory_bytes, moves
        self._kept: OrderedDict[tuple[str, int | tuple[int, int]], Any] = OrderedDict()
        self._bytes = 0
        self._estimator = DenseInverseSearch()

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

    def logits(self, index: int) -> np.ndarray:
        """(1, h, w, classes) float32 of a frame as a keyframe."""

        def make():
            logits = self._backend.decode(self.shallow(index), [self.common(index)])
            return logits.transpose(1, 2, 0)[None].copy()

        return self._get("logits", index, make)

    def motion(self, frame: int, other: int) -> np.ndarray | None:
        """The map (h/4, w/4, 2) from a frame to another as it is found live; None where features stay where
        they are."""
        if frame == other:
            return None
        return checked_motion(self._map(frame, other), self._view(frame), self._view(other)).motion.map

    def _map(self, frame: int, other: int) -> np.ndarray:
        """Composed as live: from a frame to an older one each newer flow comes first, to a newer one last."""
        step = 1 if other < frame else -1
        at = frame if step > 0 else other  # the newer of the two: from there back to what is known already
        end = other if step > 0 else frame
        key = (lambda newer: (newer, end)) if step > 0 else (lambda newer: (end, newer))
        first = next((newer for newer in range(at, end, -1) if ("map", key(newer)) in self._kept), end)
        found = self._kept["map", key(first)] if first > end else None
        for newer in range(first + 1, at + 1):
            flow = self._flow(newer, newer - 1) if step > 0 else self._flow(newer - 1, newer)
            found = flow if found is None else composed(flow, found) if step > 0 else composed(found, flow)
            self._keep("map", key(newer), found)
        assert found is not None  # the frames differ
        return found

    def _flow(self, frame: int, neighbour: int) -> np.ndarray:
        return self._get(
            "flow",
            (frame, neighbour),
            lambda: flow_map(self._estimator, self._view(frame), self._view(neighbour)),
        )

    def _view(self, index: int) -> View:
        def make():
            kept = self._kept.get(("image", index))
            return View.of(self._reader.image(index) if kept is None else kept)

        return self._get("view", index, make)

    def _image(self, index: int) -> np.ndarray:
        """Network input of a frame. It is not kept: with S made of it, and its view, it has done its work."""
        image = self._kept.pop(("image", index), None)
        if image is None:
            image = self._reader.image(index)
        else:
            self._bytes -= image.nbytes
        if self._moves and ("view", index) not in self._kept:
            self._keep("view", index, View.of(image))
        return image

    def _get(self, kind: str, index: int | tuple[int, int], make: Callable[[], Any]) -> Any:
        if (kind, index) in self._kept:
            self._kept.move_to_end((kind, index))
            return self._kept[kind, index]
        value = make()
        self._keep(kind, index, value)
        return value

    def _keep(self, kind: str, index: int | tuple[int, int], value: Any) -> None:
        if (kind, index) in self._kept:
            self._bytes -= self._kept.pop((kind, index)).nbytes
        self._kept[kind, index] = value
        self._bytes += value.nbytes
        while self._bytes > self._memory_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
