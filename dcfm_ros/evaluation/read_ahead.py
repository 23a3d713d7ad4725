# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames of clips as the network takes them, read by a thread of their own while the network computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from dcfm_ros.model.geometry import input_size
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input

if TYPE_CHECKING:
    from dcfm_ros.sources.clips import Clip

READ_AHEAD = 32  # frames
_END = object()

T = TypeVar("T")


class Picture(NamedTuple):
    """A frame of a clip."""

    image: np.ndarray  # network input (h, w, 3) uint8 RGB
    label: (
        np.ndarray | None
    )  # (H, W) uint8 class ids at the label's own size, 255 = void; None where there is none


class ClipReader:
    """Reads frames of one clip for a model whose input has about `model_size` (height, width), or with
    `exact` just that."""

    def __init__(self, clip: Clip, model_size: tuple[int, int], labels: bool = True, exact: bool = False):
        self.clip, self._model_size, self._exact = clip, model_size, exact
        self._labelled = frozenset(clip.labelled) if labels else frozenset()

    def __call__(self, index: int) -> Picture:
        return Picture(self.image(index), self.label(index) if index in self._labelled else None)

    def image(self, index: int) -> np.ndarray:
        """Network input (h, w, 3) uint8 RGB of a frame."""
        image = self.clip.image(index)
        size = self._model_size if self._exact else input_size(image.shape[:2], self._model_size)
        return network_input(Frame("", 0, image), size)

    def label(self, index: int) -> np.ndarray:
        """(H, W) uint8 class ids of a labelled frame."""
        return self.clip.label(index)


def ahead(items: Iterable[T], limit: int = READ_AHEAD) -> Generator[T]:
    """Yield the items in order; a thread of its own makes them, up to `limit` in front.

    An error of theirs is raised where its item is due, and ends them. Close the generator to end the thread
    early.
    """
    pool, iterator = ThreadPoolExecutor(1, thread_name_prefix="reading"), iter(items)
    waiting = deque(pool.submit(next, iterator, _END) for _ in range(limit))
    try:
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, iterator, _END))
            yield cast(T, item)
    finally:
        pool.shutdown(cancel_futures=True)
        if hasattr(iterator, "close"):  # a generator ends now, not when it is collected
            iterator.close()
