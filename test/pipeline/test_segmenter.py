# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way of a frame, in the three modes, with a deep path that the test holds in hand."""

import threading

import numpy as np
import pytest
from helpers import tiny_model
from pipeline_helpers import CLASSES, PERIOD_NS, SIZE, acquire, frame, in_thread, join, settle, until_it_waits
from segmenter_helpers import MODES, bench, numbers  # noqa: F401

from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.frames import Frame, Reason, Wanted
from dcfm_ros.pipeline.settings import Mode, SchedulerConfig
from dcfm_ros.pipeline.stream import run

# One frame


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [SIZE, (128, 192), (67, 101), (200, 100), (40, 40)])
def test_mask_has_the_cameras_size_and_the_frames_own_context(bench, mode, size):
    bench, context = bench(mode), object()
    image = frame(3, size=size, context=context)
    masks = bench.segmenter.process(image) or bench.segmenter.flush()
    assert len(masks) == 1
    mask = masks[0]
    assert mask.frame is image and mask.frame.context is context and mask.mode is mode
    assert mask.mask.shape == size and mask.mask.dtype == np.uint8 and (mask.mask == 3).all()
    assert mask.is_keyframe and (mask.index, mask.feature_age_frames, mask.feature_age_s) == (0, 0, 0.0)
    assert mask.preprocess_ms >= 0 and mask.shallow_ms >= 0 and mask.postprocess_ms >= 0
    assert mask.latency_ms == 0.0  # the time of arrival is not known


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_images_of_any_shape_have_masks_of_their_size(bench, mode):
    """Motion, scores and masks of pictures as no camera has them, each twice, by a real network."""
    bench = bench(
        mode,
        backend=TorchBackend(tiny_model()),
        max_interval=1,
        wanted=lambda camera: Wanted(confidence=True),
    )
    largest = (4320, 7680) if mode is Mode.SYNC else (1080, 1920)  # resized alike in all modes, in a second
    shapes = [(1, 1), (1, 400), (400, 1), (1, 16384), (16384, 1), (2, 2), (31, 33), largest]
    masks = []
    for number, size in enumerate(shape for shape in shapes for _ in range(2)):
        image = np.full((*size, 3), 10 * number, np.uint8)
        masks += bench.segmenter.process(Frame("", number * PERIOD_NS, image))
    masks += bench.segmenter.flush()
    assert [mask.mask.shape for mask in masks] == [
        shape for shape in shapes for _ in range(2)
    ] and not bench.errors
    assert all(mask.confidence.shape == mask.mask.shape for mask in masks)


@pytest.mark.slow
def test_colour_order_of_the_camera_does_not_matter(bench):
    bench = bench(Mode.SYNC, backend=TorchBackend(tiny_model()))
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    rgb = bench.segmenter.process(Frame("rgb", 0, image))[0]
    bgr = bench.segmenter.process(Frame("bgr", 0, np.ascontiguousarray(image[..., ::-1]), is_bgr=True))[0]
    assert np.array_equal(rgb.mask, bgr.mask)


@pytest.mark.parametrize("mode", MODES)
def test_confidence_only_while_wanted(bench, mode):
    wanted = {"front"}
    bench = bench(mode, max_interval=1, wanted=lambda camera: Wanted(confidence=camera in wanted))
    front, rear = bench.process(0, camera="front")[0], bench.process(0, camera="rear")[0]
    assert front.confidence.shape == SIZE and front.confidence.dtype == np.uint8
    assert np.abs(front.confidence - 255 * np.e / (np.e + CLASSES - 1)).max() <= 1
    assert rear.confidence is None
    wanted.clear()
    assert bench.process(1, camera="front")[0].confidence is None


def test_preparing_leaves_no_trace(bench):
    bench = bench()
    bench.segmenter.prepare()
    assert bench.backend.sizes == [SIZE] and bench.segmenter.status() == [] and not bench.keyframes


# Asynchronous


def test_async_only_the_first_frame_waits_for_the_deep_path(bench):
    bench = bench()
    bench.backend.gate.clear()
    steps = bench.steps(0)
    awaited = until_it_waits(steps)
    acquire(bench.backend.deep_started)
    assert bench.backend.decoded == [] and not awaited.done()
    bench.backend.gate.set()
    settle(awaited)
    (mask,) = run(steps)
    assert numbers([mask]) == [0] and mask.feature_age_frames == 0


def test_async_masks_go_on_while_the_deep_path_is_blocked(bench):
    bench = bench(max_interval=4)
    bench.process(0)
    bench.block()
    for tag in range(1, 11):
        (mask,) = bench.process(tag)
        if tag == 4:
            acquire(bench.backend.deep_started)
        assert mask.index == tag and mask.feature_age_frames == tag and mask.feature_stamp_ns == 0
        assert mask.feature_age_s == pytest.approx(tag * PERIOD_NS / 1e9)
        # due until the encoder has time
        assert mask.is_keyframe == (tag == 4 or tag >= 8) and (mask.mask == 0).all()
    assert bench.backend.decoded == [(tag, [0]) for tag in range(11)]
    assert bench.status().feature_age_frames == 10 and bench.status().keyframes == 1
    bench.backend.gate.set()
    assert [bench.keyframe().index for _ in range(3)] == [0, 4, 10]
    (mask,) = bench.process(11)
    assert mask.feature_age_frames == 1 and (mask.mask == 10 % CLASSES).all()


def test_async_the_newest_keyframe_displaces_the_waiting_one_which_does_not_count(bench):
    bench = bench(max_interval=2)
    bench.process(0)
    bench.block()
    bench.process(1, 2)
    acquire(bench.backend.deep_started)
    bench.process(*range(3, 9))  # 2 is under way; 4 and 6 are displaced; 8 waits
    bench.backend.gate.set()
    events = [bench.keyframe() for _ in range(3)]
    assert [event.index for event in events] == [0, 2, 8]
    assert [event.interval_frames for event in events] == [0, 2, 6]
    assert bench.status().keyframes == 3 and bench.status().encode_failures == 0


def test_async_hard_cut_is_requested_on_the_cut_frame_and_replaces_a_waiting_one(bench):
    bench = bench(min_interval=3, max_interval=4)
    bench.process(0)
    bench.block()
    bench.process(*range(1, 5))
    acquire(bench.backend.deep_started)
    bench.process(*range(5, 9))  # 4 is under way, 8 waits
    (cut,) = bench.process(9, scene=250)
    assert cut.is_keyframe and cut.score > 1.0 and cut.feature_age_frames == 9
    bench.backend.gate.set()
    events = [bench.keyframe() for _ in range(3)]
    assert [(event.index, event.reason) for event in events] == [
        (0, Reason.FIRST),
        (4, Reason.INTERVAL),
        (9, Reason.DEVIATION),
    ]
    assert events[2].score == cut.score


def test_keyframe_event_tells_about_the_keyframe(bench):
    bench = bench(Mode.SYNC, max_interval=2)
    bench.process(0, 1, 2, camera="front")
    first, second = bench.keyframe(), bench.keyframe()
    assert (first.reason, first.index, first.interval_frames, first.score) == (Reason.FIRST, 0, 0, 0.0)
    assert (second.reason, second.index, second.interval_frames) == (Reason.INTERVAL, 2, 2)
    assert second.frame.camera == "front" and second.frame.stamp_ns == 2 * PERIOD_NS
    assert second.queue_ms >= 0 and second.encode_ms >= 0


# Synchronous


def test_sync_a_keyframe_is_decoded_with_its_own_feature(bench):
    bench = bench(Mode.SYNC, max_interval=3)
    masks = bench.process(*range(8))
    assert numbers(masks) == list(range(8))
    assert [mask.feature_age_frames for mask in masks] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert [mask.is_keyframe for mask in masks] == [True, False, False] * 2 + [True, False]
    assert bench.backend.decoded == [(tag, [tag - tag % 3]) for tag in range(8)]


def test_sync_is_deterministic(bench):
    images = [
        np.random.default_rng(seed).integers(40, 200, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        for seed in (0, 0, 0, 1, 1, 1, 1, 1, 1, 2)
    ]

    def run():
        segmenter = bench(
            Mode.SYNC, backend=TorchBackend(tiny_model()), wanted=lambda camera: Wanted(confidence=True)
        ).segmenter
        return [
            mask
            for number, image in enumerate(images)
            for mask in segmenter.process(Frame("", number * PERIOD_NS, image))
        ]

    for first, second in zip(run(), run()):
        assert (first.is_keyframe, first.score, first.feature_age_frames) == (
            second.is_keyframe,
            second.score,
            second.feature_age_frames,
        )
        assert np.array_equal(first.mask, second.mask) and np.array_equal(first.confidence, second.confidence)


def test_async_equals_sync_once_settled_in_a_still_scene(bench):
    model = tiny_model()
    image = np.random.default_rng(5).integers(0, 256, (16, 24, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    masks = {}
    for mode in (Mode.SYNC, Mode.ASYNC):
        made = bench(mode, backend=TorchBackend(model), max_interval=3)
        for number in range(4):
            (masks[mode],) = made.segmenter.process(Frame("", number * PERIOD_NS, image))
    assert len(np.unique(masks[Mode.SYNC].mask)) > 1
    assert np.array_equal(masks[Mode.SYNC].mask, masks[Mode.ASYNC].mask)


# Two-sided


def test_two_sided_frames_between_keyframes_are_decoded_with_both(bench):
    bench = bench(Mode.TWO_SIDED, max_interval=3)
    assert numbers(bench.process(0)) == [0]
    assert bench.process(1, 2) == []
    masks = bench.process(3)
    assert numbers(masks) == [1, 2, 3]
    assert [mask.is_keyframe for mask in masks] == [False, False, True]
    assert [mask.feature_age_frames for mask in masks] == [1, 2, 0]
    assert bench.backend.decoded == [(0, [0]), (1, [0, 3]), (2, [0, 3]), (3, [3])]


def test_two_sided_keeps_the_order_and_misses_nothing(bench):
    bench = bench(Mode.TWO_SIDED, max_interval=4)
    masks = []
    for tag in range(60):
        masks += bench.process(tag, scene=128 + 60 * (tag // 7 % 2))
    assert numbers(masks + bench.segmenter.flush()) == list(range(60))


def test_two_sided_of_several_cameras_do_not_mix(bench):
    bench = bench(Mode.TWO_SIDED, max_interval=3)
    masks = []
    for tag in range(10):
        masks += bench.process(tag, camera="front") + bench.process(tag + 50, camera="rear", size=(96, 64))
    masks += bench.segmenter.flush()
    for camera, start in (("front", 0), ("rear", 50)):
        assert numbers(mask for mask in masks if mask.frame.camera == camera) == list(
            range(start, start + 10)
        )


def test_two_sided_reset_completes_the_old_sequence_first(bench):
    bench = bench(Mode.TWO_SIDED, max_interval=5)
    bench.process(*range(3))
    masks = bench.process(3, size=(96, 64))
    assert numbers(masks) == [1, 2, 3]
    assert bench.backend.decoded[1:] == [(1, [0]), (2, [0]), (3, [3])]
    assert [mask.mask.shape for mask in masks] == [SIZE, SIZE, (96, 64)]


# Several cameras


@pytest.mark.parametrize("mode", [Mode.ASYNC, Mode.SYNC])
def test_cameras_of_different_sizes_are_independent(bench, mode):
    bench = bench(mode, max_interval=100)
    for tag in range(4):
        (front,) = bench.process(tag, camera="front")
        assert front.mask.shape == SIZE and front.index == tag and front.feature_age_frames == tag
        assert (front.mask == 0).all()
        if tag >= 2:
            (rear,) = bench.process(tag + 50, camera="rear", size=(192, 128), stamp_ns=10**15 + tag)
            assert rear.mask.shape == (192, 128) and rear.index == rear.feature_age_frames == tag - 2
            assert (rear.mask == 52 % CLASSES).all()
    bench.process(9, camera="rear", size=(64, 64))
    assert bench.status("front").resets == 0 and bench.status("rear").resets == 1
    assert bench.process(4, camera="front")[0].feature_age_frames == 4


# Control and reporting


def test_requested_keyframe_is_the_next_frame_of_every_camera(bench):
    bench = bench(Mode.SYNC, min_interval=5, max_interval=100)
    for camera in ("front", "rear"):
        bench.process(0, 1, camera=camera)
    bench.segmenter.request_keyframe()
    for camera in ("front", "rear"):
        masks = bench.process(2, 3, camera=camera)
        assert [mask.is_keyframe for mask in masks] == [True, False]
    assert [bench.keyframe().reason for _ in range(4)] == [Reason.FIRST] * 2 + [Reason.REQUESTED] * 2


def test_other_bounds_count_from_the_next_frame_on(bench):
    bench = bench(Mode.SYNC, max_interval=100)
    bench.process(*range(10))
    bench.segmenter.reconfigure(SchedulerConfig(1, 3))
    masks = bench.process(*range(10, 17))
    assert [mask.is_keyframe for mask in masks] == [True, False, False] * 2 + [True]


def test_cameras_that_come_after_a_change_of_bounds_have_them_too(bench):
    bench = bench(Mode.SYNC, max_interval=100)
    bench.process(0, camera="front")
    bench.segmenter.reconfigure(SchedulerConfig(1, 3))
    masks = bench.process(*range(7), camera="rear")
    assert [mask.is_keyframe for mask in masks] == [True, False, False] * 2 + [True]


def test_control_and_status_from_other_threads_while_frames_run(bench):
    bench = bench(max_interval=3)
    stop, errors = threading.Event(), []

    def disturb(action):
        try:
            while not stop.wait(0.001):  # without a pause they would take turns with the frames, 5 ms each
                action()
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=disturb, args=(action,))
        for action in (
            bench.segmenter.status,
            bench.segmenter.request_keyframe,
            lambda: bench.segmenter.reconfigure(SchedulerConfig(1, 4)),
        )
    ]
    for thread in threads:
        thread.start()
    masks = [mask for tag in range(60) for camera in "abc" for mask in bench.process(tag, camera=camera)]
    stop.set()
    for thread in threads:
        join(thread)
    assert not errors and len(masks) == 180


def test_status_is_a_snapshot_with_the_right_numbers(bench):
    bench = bench(Mode.SYNC, max_interval=3)
    bench.process(*range(8))
    (status,) = bench.segmenter.status()
    assert status.camera == "" and status.size == SIZE
    assert status.masks == 8 and status.keyframes == 3 and status.encode_failures == 0 and status.resets == 0
    assert status.received == 0 and status.dropped == 0 and status.refused == {} and status.failures == 0
    assert status.has_feature and status.feature_age_frames == 1
    assert status.mask_hz > 0 and status.keyframe_hz > 0 and status.encode_p50_ms > 0
    bench.process(8)
    assert status.masks == 8 and bench.status().masks == 9


def test_latency_is_measured_from_arrival(bench, monkeypatch):
    bench = bench(Mode.SYNC)
    monkeypatch.setattr("dcfm_ros.pipeline.stream.time.monotonic_ns", lambda: 5_040_000_000)
    (mask,) = bench.process(0, received_ns=5_000_000_000)
    assert mask.latency_ms == pytest.approx(40.0)
    assert bench.status().latency_p50_ms == bench.status().latency_p99_ms == pytest.approx(40.0)


def test_stop_releases_a_frame_that_waits_for_its_first_keyframe(bench):
    bench = bench(max_interval=1)
    bench.process(0, camera="front")
    bench.block()
    bench.process(1, camera="front")
    acquire(bench.backend.deep_started)  # the deep path is busy with the other camera
    steps = bench.steps(0, camera="rear")
    awaited = until_it_waits(steps)
    stopping, _ = in_thread(bench.segmenter.end_encodes)
    settle(awaited)
    assert run(steps) == [] and bench.status("rear").without_feature == 1 and stopping.is_alive()
    bench.backend.gate.set()
    join(stopping)
