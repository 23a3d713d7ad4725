# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many cameras through one segmenter: keyframes for all, bounded memory, failures that stay with their
camera."""

import gc
import queue
import weakref
from collections import Counter

import pytest
from pipeline_helpers import CLASSES, SIZE, TIMEOUT_S, FakeBackend, frame
from waiting_helpers import until

from dcfm_ros.pipeline.frames import InputError, Reason
from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig
from dcfm_ros.pipeline.telemetry import ENDS

SECOND = 1_000_000_000
SIZES = dict(front=SIZE, rear=(96, 64), left=(128, 192), right=(64, 64))


# Trouble of one camera


class Bench:
    """A live segmenter of which one camera is in trouble, and three are not."""

    def __init__(self, mode=Mode.ASYNC, **config):
        self.backend = FakeBackend()
        self.masks, self.keyframes, self.errors = queue.Queue(), queue.Queue(), []
        self.publish = self.masks.put
        self.segmenter = Segmenter(
            self.backend,
            SIZE,
            PipelineConfig(mode, scheduler=SchedulerConfig(**config)),
            on_keyframe=self.keyframes.put,
            on_error=lambda *error: self.errors.append(error),
        )
        self.live = LiveSegmenter(self.segmenter, lambda mask: self.publish(mask), 3)

    def offer(self, camera, tag, error=None, **fields):
        def load(received_ns):
            if error is not None:
                raise error
            return frame(tag, camera=camera, received_ns=received_ns, **{"size": SIZES[camera], **fields})

        self.live.offer(camera, load)

    def status(self, camera):
        return next(status for status in self.segmenter.status() if status.camera == camera)


@pytest.fixture
def bench():
    made = []

    def make(*mode, **config):
        made.append(Bench(*mode, **config))
        return made[-1]

    yield make
    for bench in made:
        bench.backend.gate.set()
        bench.live.stop()
        bench.segmenter.stop()


GOOD = ("rear", "left", "right")
TROUBLE = {
    "refused": lambda bench, tag: bench.offer(
        "front", tag, error=InputError("encoding", "encoding 'x' is not known")
    ),
    "broken": lambda bench, tag: bench.offer("front", tag, error=MemoryError()),
    "other size each time": lambda bench, tag: bench.offer(
        "front", tag, size=(64, 96) if tag % 2 else (96, 64)
    ),
    "huge": lambda bench, tag: bench.offer("front", tag, size=(2160, 3840)),
    "time runs back": lambda bench, tag: bench.offer("front", tag, stamp_ns=-tag * SECOND),
    "silent": lambda bench, tag: None,
    "flooded": lambda bench, tag: [bench.offer("front", tag) for _ in range(20)],
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE.keys())
def test_trouble_of_one_camera_costs_the_others_nothing(bench, trouble):
    bench = bench(min_interval=2, max_interval=4, keyframe_budget_hz=1000.0)
    for tag in range(12):
        trouble(bench, tag)
        for camera in GOOD:
            bench.offer(camera, tag)
        found = Counter()
        while found.total() < 3:
            mask = bench.masks.get(timeout=TIMEOUT_S)
            found[mask.frame.camera] += mask.frame.camera in GOOD
            if mask.frame.camera in GOOD:
                assert (
                    mask.mask.shape == SIZES[mask.frame.camera] and mask.frame.stamp_ns == frame(tag).stamp_ns
                )
        assert +found == Counter(GOOD)
    for camera in GOOD:
        status = bench.status(camera)
        assert (
            status.masks == 12
            and status.dropped == status.failures == status.resets == 0
            and not status.refused
        )


def test_keyframes_of_one_camera_that_fail_leave_the_others_theirs(bench):
    bench = bench(min_interval=1, max_interval=2)
    deep = bench.backend.deep

    def fails_for_front(shallow, between_slices=lambda: None):
        if shallow[0] >= 50:
            raise RuntimeError("out of memory")
        return deep(shallow, between_slices)

    bench.backend.deep = fails_for_front
    for tag in range(12):
        bench.offer("front", 50 + tag)
        for camera in GOOD:
            bench.offer(camera, tag)
        masks = [bench.masks.get(timeout=TIMEOUT_S) for _ in GOOD]
        assert {mask.frame.camera for mask in masks} == set(GOOD)
    # no mask waits for the encoder to come to it
    until(lambda: bench.status("front").encode_failures > 0, TIMEOUT_S)
    assert bench.status("front").masks == 0
    for camera in GOOD:
        assert bench.status(camera).encode_failures == 0 and bench.status(camera).last_error == ""


@pytest.mark.slow
def test_what_is_kept_is_bounded_also_of_cameras_that_are_only_ever_refused(bench):
    bench, images = bench(min_interval=1, max_interval=2, keyframe_budget_hz=0.01), []

    def offer(camera, tag):
        # so close that no drop is a silence
        image = frame(tag, camera=camera, size=SIZES[camera], stamp_ns=tag * SECOND // 100)
        images.append(weakref.ref(image.image))
        bench.live.offer(camera, lambda received_ns: image)

    for tag in range(60):
        bench.offer("front", tag, error=InputError("encoding", "encoding 'x' is not known"))
        for camera in ("rear", "left"):
            offer(camera, tag)
    until(
        lambda: all(accounted(status) == status.received == 60 for status in bench.segmenter.status()),
        TIMEOUT_S,
    )
    bench.masks.queue.clear()
    bench.errors.clear()
    gc.collect()
    alive = sum(image() is not None for image in images)
    # of each: the newest keyframe, one that waits, and what the frames of threads still hold
    assert alive <= 2 * 4


def accounted(status):
    """Images of which it is known what has become of them."""
    return sum(getattr(status, name) for name in ENDS) + sum(status.refused.values())


@pytest.mark.parametrize("mode", Mode)
def test_every_image_is_accounted_for_whatever_happens(bench, mode):
    """Refused, broken, pushed out, not decodable, not published, without a feature, discarded at the end:
    each has one counter."""
    bench = bench(mode, min_interval=1, max_interval=3)
    mask = bench.backend.mask

    def fails_at_times(shallow, *arguments):
        if shallow[0] % 6 == 5:
            raise RuntimeError("decoder broken")
        return mask(shallow, *arguments)

    bench.backend.mask = fails_at_times
    for tag in range(40):
        bench.backend.deep_error = RuntimeError("out of memory") if tag % 5 == 0 else None
        bench.publish = None if tag % 9 == 3 else bench.masks.put  # cannot be called
        for number, camera in enumerate(("front", *GOOD)):
            error = (
                InputError("data", "bad")
                if tag % 7 == number
                else MemoryError()
                if tag % 11 == number
                else None
            )
            bench.offer(camera, tag, error, size=(64, 96) if tag % 13 < 6 else SIZES[camera])
    bench.live.stop()
    statuses = bench.segmenter.status()
    for status in statuses:
        assert accounted(status) == status.received == 40
    assert len(bench.masks.queue) == sum(status.masks for status in statuses) - sum(
        status.publish_failures for status in statuses
    )


# A budget on the frames' time, in mode sync


def replay(
    budget_hz, seconds=20, cameras=("front", "rear"), mode=Mode.SYNC, scenes=lambda camera, tag: 128, **config
):
    """(keyframes as (camera, index, reason), masks, statuses) of cameras at 10 Hz, one frame after the
    other."""
    keyframes = []
    scheduler = SchedulerConfig(
        **{"min_interval": 1, "max_interval": 5, "keyframe_budget_hz": budget_hz, **config}
    )
    segmenter = Segmenter(
        FakeBackend(),
        SIZE,
        PipelineConfig(mode, scheduler=scheduler),
        on_keyframe=lambda event: keyframes.append((event.frame.camera, event.index, event.reason)),
    )
    try:
        masks = [
            mask
            for tag in range(10 * seconds)
            for number, camera in enumerate(cameras)
            for mask in segmenter.process(
                frame(
                    tag % 100,
                    scene=scenes(camera, tag),
                    camera=camera,
                    size=SIZES[camera],
                    stamp_ns=number * 10**12 + tag * SECOND // 10,
                )
            )
        ]
        return keyframes, masks + segmenter.flush(), segmenter.status()
    finally:
        segmenter.stop()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.SYNC, Mode.TWO_SIDED])
def test_budget_of_a_replay_runs_on_stamps_and_is_the_same_each_time(mode):
    keyframes, masks, statuses = replay(1.0, mode=mode)
    assert keyframes == replay(1.0, mode=mode)[0]
    assert 20 <= len(keyframes) <= 20 + 2 and len(masks) == 400  # 80 without a budget
    assert abs(sum(camera == "front" for camera, *_ in keyframes) - len(keyframes) / 2) <= 1
    for status in statuses:
        assert status.over_budget > 0 and status.overdue > 0


def test_without_a_budget_every_camera_has_its_keyframes():
    keyframes, _, statuses = replay(0.0)
    assert len(keyframes) == 80
    assert [(status.over_budget, status.overdue) for status in statuses] == [(0, 0)] * 2


def test_budget_goes_to_the_camera_that_changes_more():
    """The front camera's picture changes all the time, the rear one's never."""
    keyframes, masks, _ = replay(
        3.0,
        threshold=0.3,
        cut_threshold=10.0,
        max_interval=25,
        scenes=lambda camera, tag: 60 + 70 * (tag % 2) if camera == "front" else 128,
    )
    found = Counter(camera for camera, *_ in keyframes)
    assert found["front"] > 4 * found["rear"] and found["rear"] >= 8
    assert found.total() <= 3 * 20 + 2 * 3
    # MaxK, and the budget's next keyframe
    assert max(mask.feature_age_frames for mask in masks) <= 25 + 10 / 3 + 1


def test_hard_cut_goes_before_other_keyframes_of_a_spent_budget():
    keyframes, _, _ = replay(0.5, scenes=lambda camera, tag: 250 if camera == "rear" and tag >= 53 else 128)
    later = [(camera, reason) for camera, index, reason in keyframes if index >= 53]
    assert ("rear", Reason.DEVIATION) in later[:2]


def test_first_keyframes_of_four_cameras_do_not_wait_for_a_small_budget():
    keyframes, masks, _ = replay(4.0, cameras=tuple(SIZES), seconds=1)
    assert [keyframe for keyframe in keyframes if keyframe[1] == 0] == [
        (camera, 0, Reason.FIRST) for camera in SIZES
    ]
    assert len(masks) == 40 and {mask.mask[0, 0] for mask in masks} <= set(range(CLASSES))


def test_threshold_that_follows_the_encoder_is_reported_for_every_camera(bench, monkeypatch):
    now_ns = 10**12
    monkeypatch.setattr("dcfm_ros.pipeline.encoder.time.monotonic_ns", lambda: now_ns)
    bench = bench(min_interval=1, max_interval=2, threshold_rule="deadline")
    for tag in range(12):
        if tag == 1:
            bench.backend.gate.clear()
        for camera in GOOD:
            bench.offer(camera, tag)
            assert bench.masks.get(timeout=TIMEOUT_S).frame.camera == camera
        now_ns += SECOND // 2 * (tag > 1)
    threshold = bench.segmenter.config.scheduler.threshold
    assert all(1.5 * threshold < bench.status(camera).threshold <= 4 * threshold for camera in GOOD)


def test_async_budget_bounds_keyframes_and_not_masks(bench):
    bench = bench(min_interval=1, max_interval=1, keyframe_budget_hz=0.01)
    for tag in range(30):
        bench.offer("front", tag)
        assert bench.masks.get(timeout=TIMEOUT_S).frame.stamp_ns == frame(tag).stamp_ns
    assert bench.backend.encoded == [0] and bench.status("front").over_budget >= 28
    bench.segmenter.reconfigure(SchedulerConfig(1, 1))
    # the newest had waited
    assert [bench.keyframes.get(timeout=TIMEOUT_S).index for _ in range(2)] == [0, 29]
