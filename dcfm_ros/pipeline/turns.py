"""Frames go first: the deep path runs in slices, and between slices it gives way to a frame in work.

On few cores a deep network beside a shallow one slows both, and a frame that meets a whole deep pass waits for it. Cut
into slices, a frame meets one slice at most. Where there are cores to spare both run at the same time instead.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import Iterator

_SPARE_CORES = 4         # from more cores than these on, the deep path has some of its own
_LONGEST_WAIT_S = 0.25   # a frame that takes longer than this does not hold the deep path up


class Turns:
    """`frame` is for the masks' thread, `give_way` for the encoder's."""

    def __init__(self, sliced: bool | None = None):
        """sliced None: decided by the cores that this process may use."""
        self._sliced = len(os.sched_getaffinity(0)) <= _SPARE_CORES if sliced is None else sliced
        self._no_frame = threading.Event()
        self._no_frame.set()

    @contextmanager
    def frame(self) -> Iterator[None]:
        """A frame is in work."""
        self._no_frame.clear()
        try:
            yield
        finally:
            self._no_frame.set()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """The frame in work waits for the deep path itself."""
        self._no_frame.set()
        try:
            yield
        finally:
            self._no_frame.clear()

    def give_way(self) -> None:
        """Wait while a frame is in work. The end of a frame always lets one slice pass: nobody starves."""
        if self._sliced:
            self._no_frame.wait(_LONGEST_WAIT_S)
