# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long masks are bad after a hard cut: as in the live pipeline's `async` mode, with an encode of a set
number of frames.

A mask's agreement is the share of pixels in which it equals the mask that the frame gets from its own
keyframe. The level is its mean once the new shot has settled. Masks have recovered with the first frame that
reaches 95 % of the level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dcfm_ros.model.geometry import input_size
from dcfm_ros.pipeline.backends.base import Backend, Feature
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.scheduler import KeyframeScheduler
from dcfm_ros.pipeline.settings import Alignment, SchedulerConfig
from dcfm_ros.sources.open import VideoSource

RECOVERED = 0.95  # of the level
# frames before the cut; after it, the level is that of frames SETTLED to AFTER
BEFORE, SETTLED, AFTER = (15, 15, 40)


@dataclass(frozen=True)
class Recovery:
    """frames: from the cut to the first mask that has recovered, 0: the cut frame's own; None: not before
    SETTLED."""

    cut: int
    delay: int
    level: float
    on_cut: float  # agreement of the cut frame's mask
    frames: int | None
    requested: bool  # was a keyframe requested on the cut frame itself?


class _Computed(NamedTuple):
    image: np.ndarray  # network input
    shallow: Feature
    common: Feature  # of this frame as a keyframe
    mask: np.ndarray  # from its own common feature


def recoveries(
    backend: Backend,
    model_size: tuple[int, int],
    video: VideoSource,
    cut: int,
    delays: Sequence[int],
    config: SchedulerConfig = SchedulerConfig(),
) -> list[Recovery]:
    """One for each delay, in frames, of a cut of the video. There must be BEFORE frames of one shot before
    it."""
    first = cut - BEFORE
    if first < 0:
        raise ValueError(f"cut at frame {cut}: {BEFORE} frames are needed before it, take a later one")
    if min(delays) < 1:
        raise ValueError(f"delay {min(delays)}: use 1 frame or more")
    frames = [_compute(backend, model_size, video.frame(index).image) for index in range(first, cut + AFTER)]
    return [_recovery(backend, frames, cut, delay, config) for delay in delays]


def _compute(backend: Backend, model_size: tuple[int, int], pixels: np.ndarray) -> _Computed:
    size = pixels.shape[:2]
    image = network_input(Frame("", 0, pixels), input_size(size, model_size))
    shallow = backend.shallow(image)
    common = backend.deep(shallow)
    return _Computed(image, shallow, common, backend.mask(shallow, [common], size)[0])


def _recovery(
    backend: Backend, frames: Sequence[_Computed], cut: int, delay: int, config: SchedulerConfig
) -> Recovery:
    serving, requested = _serving([frame.image for frame in frames], delay, config)
    agreement = np.array(
        [
            np.mean(backend.mask(frame.shallow, [frames[keyframe].common], frame.mask.shape)[0] == frame.mask)
            for frame, keyframe in zip(frames, serving)
        ]
    )
    after = agreement[BEFORE:]
    level = float(after[SETTLED:].mean())
    back = np.flatnonzero(after[:SETTLED] >= RECOVERED * level)
    return Recovery(
        cut, delay, level, float(after[0]), int(back[0]) if len(back) else None, BEFORE in requested
    )


def _serving(images: Sequence[np.ndarray], delay: int, config: SchedulerConfig) -> tuple[list[int], set[int]]:
    """The keyframe whose common feature serves each frame, and the frames on which one was requested.

    The encoder is busy for `delay` frames; then the newest frame that is due is next. A hard cut ends what
    runs. The first keyframe is waited for.
    """
    scheduler = KeyframeScheduler(config.resolved(Alignment.NONE))  # what moves is no matter at a cut
    serving, requested, cuts = [], set(), set()
    served, running, waiting = 0, None, None
    for index, image in enumerate(images):
        if running is not None and index >= running[1] + delay:
            served, running = running[0], None
            scheduler.succeeded(images[served], served)
        if running is None and waiting is not None:
            running, waiting = (waiting, index), None
            scheduler.started(images[running[0]], running[0])
        decision = scheduler.evaluate(image, index)
        if decision.is_cut:
            cuts.add(index)
            running = running if running is not None and running[0] in cuts else None
        if decision.reason is not None:
            requested.add(index)
            if running is None:
                running = (index, index if index else -delay)
                scheduler.started(image, index)
            else:
                waiting = index
        serving.append(served)
    return serving, requested
