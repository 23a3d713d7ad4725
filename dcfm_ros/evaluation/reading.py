"""The frames of clips as the network takes them, read by a thread of their own while the network computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.model.geometry import input_size
from dcfm_ros.pipeline.preprocess import network_input

if TYPE_CHECKING:
    from dcfm_ros.sources.clips import Clip

READ_AHEAD = 32   # frames


class Picture(NamedTuple):
    """A frame of a clip."""

    image: np.ndarray          # network input (h, w, 3) uint8 RGB
    label: np.ndarray | None   # (H, W) uint8 class ids at the label's own size, 255 = void; None where there is none


class ClipReader:
    """Reads frames of one clip for a model whose input has about `model_size` (height, width), or with `exact` just that."""

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


def read_ahead(calls: Iterable[tuple[Callable[[int], Any], int]], ahead: int = READ_AHEAD) -> Iterator[Any]:
    """Yield `function(index)` of each call in order; another thread is up to `ahead` calls in front.

    An error of a call is raised where its result is due. Close the generator to end the thread early.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="reading")
    waiting: deque = deque()
    try:
        for function, index in calls:
            waiting.append(pool.submit(function, index))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
