# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of a benchmark: a shot of real motion, walked to and fro without end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.scheduler import is_hard_cut
from dcfm_ros.pipeline.settings import SchedulerConfig
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.open import open_source
from dcfm_ros.sources.source_kinds import DEFAULT_RATE_HZ
from dcfm_ros.stamps import NS_PER_S

_FRAMES = 45  # 3 s at 15 Hz: enough motion for adaptive keyframes, little enough to keep in memory
_THINNED = 16  # every 16th row and column shows a hard cut


@dataclass(frozen=True)
class Scene:
    """images: (H, W, 3) uint8 RGB, adjacent frames of one shot; rate_hz: of the source."""

    images: Sequence[np.ndarray]
    rate_hz: float

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)"""
        return self.images[0].shape[:2]

    def frames(self) -> Iterator[Frame]:
        """Forth and back, for ever, with stamps of the source's rate. Each caller has its own."""
        there_and_back = [*self.images, *self.images[-2:0:-1]]
        for index, image in enumerate(itertools.cycle(there_and_back)):
            yield Frame("", round(index * NS_PER_S / self.rate_hz), image)

    def paced(
        self,
        rate_hz: float,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[Frame]:
        """As `frames`, but each waits for its turn, as a camera's do. One that is asked for too late comes at
        once."""
        due = clock()
        for frame in self.frames():
            if (early := due - clock()) > 0:
                sleep(early)
            due += 1.0 / rate_hz
            if due <= (now := clock()):  # a whole period late
                due = now + 1.0 / rate_hz
            yield frame


def open_scene(source: str, size: tuple[int, int] | None = None) -> Scene:
    """The first frames of `source` (as for `open_source`) up to the first hard cut; size: (H, W) instead of
    the source's."""
    height, width = size or (None, None)
    video = open_source(source, height=height, width=width)
    images: list[np.ndarray] = []
    for index in range(min(_FRAMES, video.length or _FRAMES)):
        image = video.frame(index).image
        if images and (
            image.shape != images[-1].shape
            or is_hard_cut(_thinned(images[-1]), _thinned(image), SchedulerConfig().cut_threshold)
        ):
            break
        images.append(image)
    if len(images) < 2:
        raise SourceError(
            f"{source} begins with {len(images)} frame(s) of one shot; "
            "the benchmark needs a video of 2 or more"
        )
    return Scene(images, video.rate_hz or DEFAULT_RATE_HZ)


def _thinned(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[::_THINNED, ::_THINNED])
