# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Noise, flicker of the light and automatic exposure bring no storm of keyframes, and hide no hard cut."""

import numpy as np
import pytest

from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.frames import Reason
from dcfm_ros.pipeline.scheduler import KeyframeScheduler
from dcfm_ros.pipeline.settings import Alignment, SchedulerConfig
from dcfm_ros.sources.synthetic.video import SyntheticVideo

FRAMES = 60
MAINS_HZ, RATE_HZ = 100.0, 30.0


def noise(sigma):
    rng = np.random.default_rng(0)
    return lambda image, index: image + rng.normal(0, sigma, image.shape)


def lamps(image, index):
    """Light at twice the mains' frequency, seen at the camera's rate; a tenth up and down."""
    return image * (1 + 0.1 * np.sin(2 * np.pi * MAINS_HZ * index / RATE_HZ + 0.3))


def blinking(image, index):
    """The worst that this light can do: from a tenth more to a tenth less between two frames."""
    return image * (1.1 if index % 4 < 2 else 0.9)


def exposure(image, index):
    """Illumination changes from 0.7 to 1.4 times within a second."""
    return image * 0.7 * 2.0 ** np.clip((index - 15) / RATE_HZ, 0, 1)


@pytest.fixture(scope="module")
def drives():
    """Images of two drives without a cut, and of one that begins anew in the middle."""

    def images(seed, first, count):
        video = SyntheticVideo(seed, 160, 120, RATE_HZ)
        return [video.frame(index).image for index in range(first, first + count)]

    whole = [images(seed, 0, FRAMES) for seed in (1000, 1007)]
    return whole, whole[0][: FRAMES // 2] + whole[1][: FRAMES // 2]


def seen(images, disturbance):
    return [
        np.clip(disturbance(image.astype(np.float64), index), 0, 255).astype(np.uint8)
        for index, image in enumerate(images)
    ]


def reasons(images, alignment, **config):
    """alignment: none for the paper's score, flow for the residual"""
    scheduler, found = KeyframeScheduler(SchedulerConfig(**config).resolved(Alignment(alignment))), []
    motion = MotionTrack() if alignment == "flow" else None
    for index, image in enumerate(images):
        if motion is not None:
            motion.add(image, index, {scheduler.keyframe})
        found.append(scheduler.evaluate_and_start(image, index, motion).reason)
    return found


def count(images, alignment, **config):
    return sum(reason is not None for reason in reasons(images, alignment, **config))


@pytest.fixture(params=["none", "flow"])
def alignment(request):
    return request.param


@pytest.mark.slow
@pytest.mark.parametrize(
    "disturbance", [noise(5), noise(10), lamps, blinking], ids=["noise 5", "noise 10", "lamps", "blinking"]
)
def test_a_still_scene_has_keyframes_by_interval_alone(drives, disturbance, alignment):
    still = seen([drives[0][0][0]] * FRAMES, disturbance)
    assert set(reasons(still, alignment)[1:]) == {None, Reason.INTERVAL}


@pytest.mark.slow
@pytest.mark.parametrize(
    "disturbance, most",
    [(noise(5), 1.4), (noise(10), 1.7), (lamps, 1.3), (blinking, 1.3), (exposure, 1.3)],
    ids=["noise 5", "noise 10", "lamps", "blinking", "exposure"],
)
def test_a_moving_scene_has_hardly_more_keyframes_than_without(drives, disturbance, most, alignment):
    for images in drives[0]:
        plain = count(images, alignment)
        assert FRAMES / 10 <= plain < FRAMES / 3
        assert 0.75 * plain <= count(seen(images, disturbance), alignment) <= most * plain + 2


def test_exposure_of_a_still_scene_brings_few_keyframes(drives, alignment):
    assert count(seen([drives[0][0][0]] * FRAMES, exposure), alignment, max_interval=1000) <= 5


@pytest.mark.parametrize(
    "disturbance",
    [noise(0), noise(10), lamps, blinking, exposure],
    ids=["none", "noise", "lamps", "blinking", "exposure"],
)
def test_hard_cut_is_requested_on_its_frame_and_is_the_only_one(drives, disturbance, alignment):
    found = reasons(seen(drives[1], disturbance), alignment, min_interval=1000, max_interval=1000)
    assert [index for index, reason in enumerate(found) if reason is Reason.DEVIATION] == [FRAMES // 2]
