# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Common features that move with the scene, from frames to masks: which map each mask is made with."""

import cv2
import numpy as np
import pytest
from pipeline_helpers import PERIOD_NS, FakeBackend
from segmenter_helpers import bench  # noqa: F401

from dcfm_ros.motion.track import MotionKind
from dcfm_ros.pipeline.frames import Frame, Reason
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Alignment, Mode, PipelineConfig, SchedulerConfig
from dcfm_ros.pipeline.stream import run

SIZE = (128, 192)
STEP = 4  # pixels to the left, from number to number: a cell of the maps


def panorama(seed=0):
    """A wide picture with structure at all scales."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.uniform(0, 255, (SIZE[0] // s, 1600 // s, 3)), (1600, SIZE[0]), interpolation=cv2.INTER_CUBIC
        )
        for s in (4, 8, 16, 32)
    ]
    return np.clip(sum(layers) / len(layers) * 1.5 - 60, 0, 255).astype(np.uint8)


WORLD, OTHER = panorama(), panorama(1)


def seen(number, step=STEP, world=WORLD, size=SIZE, camera="", stamp=None, tag=None):
    """Frame of a camera that turns right, `number` steps from where it began. Its first pixel carries the tag
    for FakeBackend."""
    left = number * step
    image = np.ascontiguousarray(world[:, left : left + SIZE[1]])
    if size != SIZE:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    image[0, 0] = number if tag is None else tag
    return Frame(camera, (number if stamp is None else stamp) * PERIOD_NS, image)


class Camera:
    """A segmenter with a FakeBackend, driven by frames of a test's own."""

    def __init__(self, bench, mode=Mode.SYNC, **options):
        self.bench = bench(mode, model_size=SIZE, max_interval=options.pop("max_interval", 100), **options)
        self.backend = self.bench.backend

    def add(self, *frames):
        return [
            mask for frame in frames for mask in run(self.bench.segmenter.steps(frame, self.bench._done.set))
        ]

    @property
    def maps(self):
        """Of each mask so far: the middle of the map to each keyframe, in half cells; None where it had
        none."""
        return [
            [
                None
                if motion is None
                else tuple((np.round(2 * np.median(motion[8:-8, 8:-8], axis=(0, 1))) / 2 + 0.0).tolist())
                for motion in motions
            ]
            for motions in self.backend.motions
        ]


@pytest.fixture
def camera(bench):
    return lambda *arguments, **options: Camera(bench, *arguments, **options)


def test_a_mask_takes_each_place_from_where_it_was_in_the_keyframe(camera):
    camera = camera()
    masks = camera.add(*(seen(number) for number in range(5)))
    assert camera.maps == [[None], [(1.0, 0.0)], [(2.0, 0.0)], [(3.0, 0.0)], [(4.0, 0.0)]]
    assert [mask.alignment for mask in masks] == [MotionKind.STILL] + [MotionKind.FLOW] * 4
    assert [mask.motion_px for mask in masks] == pytest.approx([0, 4, 8, 12, 16], abs=0.8)
    assert all(mask.motion_ms > 0 for mask in masks)


def test_motion_is_told_in_pixels_of_the_camera(camera):
    masks = camera().add(*(seen(number, size=(256, 384)) for number in range(3)))
    assert [mask.motion_px for mask in masks] == pytest.approx([0, 8, 16], abs=1.0)


def test_without_alignment_there_are_no_maps(camera):
    camera = camera(alignment=Alignment.NONE)
    masks = camera.add(*(seen(number) for number in range(3)))
    assert camera.maps == [[None]] * 3 and {mask.alignment for mask in masks} == {MotionKind.NONE}
    assert all(mask.motion_px == 0.0 for mask in masks) and camera.bench.status().unaligned == 0


def test_a_camera_that_stands_still_has_its_features_as_they_are(camera):
    rng = np.random.default_rng(0)
    frames = [seen(0, stamp=stamp, tag=stamp) for stamp in range(6)]
    for frame in frames:
        frame.image[1:] = np.clip(frame.image[1:] + rng.normal(0, 4, frame.image[1:].shape), 0, 255).astype(
            np.uint8
        )
    camera = camera()
    assert {mask.alignment for mask in camera.add(*frames)} == {MotionKind.STILL} and camera.maps == [
        [None]
    ] * 6


def test_frames_between_that_were_dropped_are_no_gap(camera):
    camera = camera()
    camera.add(seen(0), seen(2), seen(3), seen(6))
    assert camera.maps == [[None], [(2.0, 0.0)], [(3.0, 0.0)], [(6.0, 0.0)]]


def test_a_new_keyframe_is_aligned_from_its_own_frame_on(camera):
    camera = camera(max_interval=3)
    camera.add(*(seen(number) for number in range(6)))
    assert camera.maps == [[None], [(1.0, 0.0)], [(2.0, 0.0)], [None], [(1.0, 0.0)], [(2.0, 0.0)]]


def test_a_keyframe_that_is_ready_late_is_aligned_all_the_way_back_to_its_frame(camera):
    camera = camera(Mode.ASYNC, max_interval=3)
    camera.add(seen(0))
    camera.bench.block()
    masks = camera.add(*(seen(number) for number in range(1, 6)))  # due on 3, and encoded until 6
    assert [mask.feature_age_frames for mask in masks] == [1, 2, 3, 4, 5]
    camera.backend.gate.set()
    while camera.bench.keyframe().index != 3:
        pass
    (mask,) = camera.add(seen(6))
    assert mask.feature_age_frames == 3 and camera.maps[-1] == [(3.0, 0.0)]
    assert camera.maps[:-1] == [[None], *([(float(number), 0.0)] for number in range(1, 6))]


def test_masks_go_on_aligned_while_the_encoder_fails(camera):
    camera = camera(max_interval=2)
    camera.add(seen(0))
    camera.backend.deep_error = RuntimeError("out of memory")
    masks = camera.add(*(seen(number) for number in range(1, 6)))
    assert [mask.feature_age_frames for mask in masks] == [1, 2, 3, 4, 5] and camera.maps[-1] == [(5.0, 0.0)]
    camera.backend.deep_error = None
    camera.add(seen(6), seen(7))
    assert camera.maps[-2:] == [[None], [(1.0, 0.0)]]


def test_two_sided_frames_between_have_a_map_to_either_side(camera):
    camera = camera(Mode.TWO_SIDED, max_interval=3)
    masks = camera.add(*(seen(number) for number in range(7)))
    to_both = [[(1.0, 0.0), (-2.0, 0.0)], [(2.0, 0.0), (-1.0, 0.0)]]
    assert camera.maps == [[None], *to_both, [None], *to_both, [None]]
    # to the earlier
    assert [mask.motion_px for mask in masks] == pytest.approx([0, 4, 8, 0, 4, 8, 0], abs=0.8)


def test_two_sided_frames_that_the_end_finds_waiting_are_aligned_to_the_one_keyframe(camera):
    camera = camera(Mode.TWO_SIDED, max_interval=5)
    camera.add(seen(0), seen(1), seen(2))
    camera.bench.segmenter.flush()
    assert camera.maps == [[None], [(1.0, 0.0)], [(2.0, 0.0)]]


def test_a_fast_turn_is_no_hard_cut(camera):
    """It looks like one until it is known what has moved."""
    masks = camera().add(seen(0), seen(3), seen(6))
    assert [mask.is_keyframe for mask in masks] == [True, False, False] and masks[
        2
    ].alignment is MotionKind.FLOW
    masks = camera(alignment=Alignment.NONE).add(seen(0), seen(3), seen(6))
    assert [mask.is_keyframe for mask in masks] == [True, True, True]


@pytest.mark.parametrize("mode", [Mode.SYNC, Mode.TWO_SIDED])
@pytest.mark.parametrize("how", ["size", "time runs back", "silence"])
def test_a_new_sequence_begins_anew(camera, mode, how):
    camera = camera(mode, max_interval=2)
    camera.add(seen(0), seen(1), seen(2))
    change = {"size": dict(size=(192, 128)), "time runs back": dict(stamp=0), "silence": dict(stamp=1000)}[
        how
    ]
    first, *_ = camera.add(seen(3, **change))
    later = camera.add(seen(4, **{**change, **({"stamp": change["stamp"] + 1} if "stamp" in change else {})}))
    assert (first.feature_age_frames, first.alignment) == (0, MotionKind.STILL)
    if mode is Mode.SYNC:
        assert [mask.alignment for mask in later] == [MotionKind.FLOW]


def test_nothing_is_aligned_across_a_hard_cut(camera):
    camera = camera(Mode.ASYNC)
    camera.add(seen(0), seen(1))
    camera.bench.block()
    after = camera.add(*(seen(number, world=OTHER // 3) for number in range(2, 5)))
    assert [(mask.is_keyframe, mask.alignment) for mask in after] == [(True, MotionKind.NONE)] + [
        (False, MotionKind.NONE)
    ] * 2
    assert camera.maps[2:] == [[None]] * 3 and camera.bench.status().unaligned == 3
    camera.backend.gate.set()
    while camera.bench.keyframe().index != 2:
        pass
    (mask,) = camera.add(seen(5, world=OTHER // 3))
    assert mask.feature_age_frames == 3 and camera.maps[-1] == [(3.0, 0.0)]


def test_a_covered_lens_or_a_flash_is_not_followed(camera):
    camera = camera(cut_threshold=10.0, threshold=10.0)
    covered = [
        Frame("", number * PERIOD_NS, np.full((*SIZE, 3), level, np.uint8))
        for number, level in ((2, 0), (3, 0), (5, 255))
    ]
    masks = camera.add(seen(0), seen(1), *covered[:2], seen(4), covered[2], seen(6))
    assert MotionKind.FLOW not in [mask.alignment for mask in (*masks[2:4], masks[5])]
    # Seen again: moved as far as is known, and never elsewhere.
    for mask, (found,) in zip((masks[4], masks[6]), (camera.maps[4], camera.maps[6])):
        assert mask.alignment is not MotionKind.FLOW or (0.0 < found[0] <= 6.0 and abs(found[1]) <= 0.5)


def test_a_frame_that_fails_does_not_break_the_chain(camera):
    camera = camera()
    camera.add(seen(0), seen(1))
    camera.backend.shallow_error = RuntimeError("out of memory")
    with pytest.raises(RuntimeError):
        camera.add(seen(2))
    camera.backend.shallow_error = None
    camera.add(seen(3))
    assert camera.maps[-1] == [(3.0, 0.0)]


def test_cameras_move_independently(camera):
    camera = camera()
    for number in range(4):
        camera.add(
            seen(number, camera="front"),
            seen(number, step=-STEP, world=np.roll(WORLD, 300, axis=1)[:, :], camera="rear")
            if number == 0
            else seen(number, step=2 * STEP, camera="rear"),
        )
    assert [found[0] for found in camera.maps[0::2]] == [None, (1.0, 0.0), (2.0, 0.0), (3.0, 0.0)]


@pytest.mark.parametrize("mode", [Mode.SYNC, Mode.TWO_SIDED])
def test_maps_of_a_long_run_are_bounded_and_the_same_again(camera, mode):
    runs = []
    for _ in range(2):
        one = camera(mode, max_interval=7)
        for number in range(60):
            one.add(seen(number % 40, stamp=number, tag=number % 100))
            (stream,) = one.bench.segmenter._all()
            assert len(stream._motion.known) <= 2 + (7 if mode is Mode.TWO_SIDED else 1)
        runs.append(
            [
                [None if motion is None else motion.tobytes() for motion in motions]
                for motions in one.backend.motions
            ]
        )
    assert runs[0] == runs[1]


def test_a_per_frame_network_follows_nothing():
    backend = FakeBackend()
    backend.per_frame = True
    segmenter = Segmenter(backend, SIZE)
    masks = [mask for number in range(3) for mask in segmenter.process(seen(number))]
    segmenter.stop()
    assert backend.motions == [[None]] * 3 and {mask.alignment for mask in masks} == {MotionKind.NONE}
    assert segmenter.config.alignment is Alignment.NONE


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="aks_score residual with alignment none"):
        PipelineConfig(scheduler=SchedulerConfig(aks_score="residual"), alignment="none")
    with pytest.raises(ValueError, match="alignment 'all': use one of flow, none"):
        PipelineConfig(alignment="all")


def test_the_first_keyframe_of_a_sequence_has_its_reason(camera):
    camera = camera()
    camera.add(seen(0), seen(1))
    assert [event.reason for event in camera.bench.keyframes] == [Reason.FIRST]


def test_two_sided_frames_before_a_hard_cut_keep_their_map_to_the_keyframe_of_their_own_shot(camera):
    camera = camera(Mode.TWO_SIDED)
    camera.add(
        *(seen(number) for number in range(3)), *(seen(number, world=OTHER // 3) for number in range(3, 5))
    )
    assert camera.maps == [[None], [(1.0, 0.0), None], [(2.0, 0.0), None], [None]]
