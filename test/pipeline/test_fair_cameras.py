# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many cameras through one segmenter: fair rates, keyframes for all, bounded memory, failures that stay with their camera.

Time is simulated: an image is offered when its moment has come, and each mask takes as long as the test says.
"""
import itertools
import queue
from collections import Counter

import pytest
from pipeline_helpers import CLASSES, SIZE, TIMEOUT_S, FakeBackend, Turnstile, acquire, frame
from waiting_helpers import until

from dcfm_ros.pipeline.frames import InputError, Reason
from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig

SECOND = 1_000_000_000
SIZES = dict(front=SIZE, rear=(96, 64), left=(128, 192), right=(64, 64))
ONLY_LAST = SchedulerConfig(threshold=10.0, cut_threshold=10.0, max_interval=1000)  # keyframes play no part


class Simulation:
    """Cameras with rates of their own, and a machine that makes `masks_per_s` masks a second."""

    def __init__(self, rates: dict[str, float], masks_per_s: float, waiting: int = 3, phase_ns: int = 7_000_003):
        self.backend = FakeBackend()
        self.segmenter = Segmenter(self.backend, SIZE, PipelineConfig(scheduler=ONLY_LAST, silence_s=1000.0))
        self.done = queue.Queue()
        self.live = LiveSegmenter(self.segmenter, lambda mask: self.done.put(mask.frame.camera),
                                  lambda camera, error: self.done.put(camera), waiting)
        self.most_waiting = 0
        for camera in rates:     # sizes are prepared and first keyframes made before the clock starts
            self.offer(camera, 0)
            assert self.done.get(timeout=TIMEOUT_S) == camera
        while self.backend.shallow_started.acquire(blocking=False):
            pass
        self.backend.shallow_gate = Turnstile()
        self.service_ns = round(SECOND / masks_per_s)
        self.arrivals = {camera: map(lambda n, number=number, rate=rate: round(n * SECOND / rate) + number * phase_ns,
                                     itertools.count(1)) for number, (camera, rate) in enumerate(rates.items())}
        self.next = {camera: next(times) for camera, times in self.arrivals.items()}

    def offer(self, camera, stamp_ns):
        self.live.offer(camera, lambda received_ns: frame(camera=camera, size=SIZES[camera], stamp_ns=stamp_ns))

    def offer_until(self, now_ns):
        for stamp_ns, camera in sorted((stamp_ns, camera) for camera, stamp_ns in self.next.items()):
            while self.next[camera] <= now_ns:
                self.offer(camera, self.next[camera])
                self.next[camera] = next(self.arrivals[camera])
        self.most_waiting = max(self.most_waiting, sum(map(len, self.live._waiting.values())))

    def run(self, seconds) -> dict[str, float]:
        """Masks per second of each camera."""
        now_ns, masks, idle = 0, Counter(), True
        while now_ns < seconds * SECOND:
            if idle:
                now_ns = max(now_ns, min(self.next.values()))
                self.offer_until(now_ns)
            acquire(self.backend.shallow_started)   # the image whose turn it is has come to the shallow path
            now_ns += self.service_ns
            self.offer_until(now_ns)                # while it is in work
            idle = not any(self.live._waiting.values())
            self.backend.shallow_gate.release()
            camera = self.done.get(timeout=TIMEOUT_S)
            masks[camera] += 1
        return {camera: masks[camera] / seconds for camera in self.next}

    def stop(self):
        self.backend.shallow_gate.set()
        self.live.stop()
        self.segmenter.stop()


@pytest.fixture
def simulate():
    made = []

    def make(*arguments, **options):
        made.append(Simulation(*arguments, **options))
        return made[-1]

    yield make
    for simulation in made:
        simulation.stop()


@pytest.mark.parametrize("waiting", [1, 3])
@pytest.mark.parametrize("masks_per_s", [20, 50, 70])
@pytest.mark.parametrize("phase_ns", [0, 7_000_003], ids=["synchronised", "not synchronised"])
def test_equal_rates_have_equal_masks_under_overload(simulate, masks_per_s, waiting, phase_ns):
    rates = dict(front=20.0, rear=20.0, left=20.0, right=20.0)
    found = simulate(rates, masks_per_s, waiting, phase_ns).run(20)
    assert max(found.values()) <= 1.1 * min(found.values())
    assert sum(found.values()) == pytest.approx(masks_per_s, rel=0.02)   # nothing is left unused


def test_all_masks_where_the_machine_is_fast_enough(simulate):
    rates = dict(front=30.0, rear=15.0, left=10.0, right=7.0)
    found = simulate(rates, 70).run(20)
    assert found == pytest.approx(rates, rel=0.02)


@pytest.mark.parametrize("waiting", [1, 3])
def test_what_slow_cameras_leave_goes_to_the_fast_ones(simulate, waiting):
    rates = dict(front=30.0, rear=30.0, left=10.0, right=4.0)
    found = simulate(rates, 44, waiting).run(20)
    assert found == pytest.approx(dict(front=15.0, rear=15.0, left=10.0, right=4.0), rel=0.1)


def test_images_that_wait_are_bounded(simulate):
    simulation = simulate(dict(front=300.0, rear=300.0, left=300.0, right=300.0), 40, waiting=3)
    simulation.run(2)
    assert simulation.most_waiting <= 4 * 3
    for status in simulation.segmenter.status():
        assert status.dropped > 0.8 * status.received


# Trouble of one camera

class Bench:
    """A live segmenter of which one camera is in trouble, and three are not."""

    def __init__(self, **config):
        self.backend = FakeBackend()
        self.masks, self.keyframes, self.errors = queue.Queue(), queue.Queue(), []
        self.segmenter = Segmenter(
            self.backend, SIZE, PipelineConfig(scheduler=SchedulerConfig(**config)), on_keyframe=self.keyframes.put)
        self.live = LiveSegmenter(self.segmenter, self.masks.put, lambda *error: self.errors.append(error), 3)

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

    def make(**config):
        made.append(Bench(**config))
        return made[-1]

    yield make
    for bench in made:
        bench.backend.gate.set()
        bench.live.stop()
        bench.segmenter.stop()


GOOD = ("rear", "left", "right")
TROUBLE = {
    "refused": lambda bench, tag: bench.offer("front", tag, error=InputError("encoding", "encoding 'x' is not known")),
    "broken": lambda bench, tag: bench.offer("front", tag, error=MemoryError()),
    "other size each time": lambda bench, tag: bench.offer("front", tag, size=(64, 96) if tag % 2 else (96, 64)),
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
                assert mask.mask.shape == SIZES[mask.frame.camera] and mask.frame.stamp_ns == frame(tag).stamp_ns
        assert +found == Counter(GOOD)
    for camera in GOOD:
        status = bench.status(camera)
        assert status.masks == 12 and status.dropped == status.failures == status.resets == 0 and not status.refused


def test_keyframes_of_one_camera_that_fail_leave_the_others_theirs(bench):
    bench = bench(min_interval=1, max_interval=2)
    deep = bench.backend.deep

    def fails_for_front(shallow, give_way=lambda: None):
        if shallow[0] >= 50:
            raise RuntimeError("out of memory")
        return deep(shallow, give_way)

    bench.backend.deep = fails_for_front
    for tag in range(12):
        bench.offer("front", 50 + tag)
        for camera in GOOD:
            bench.offer(camera, tag)
        masks = [bench.masks.get(timeout=TIMEOUT_S) for _ in GOOD]
        assert {mask.frame.camera for mask in masks} == set(GOOD)
    until(lambda: bench.status("front").encode_failures > 0, TIMEOUT_S)   # no mask waits for the encoder to come to it
    assert bench.status("front").masks == 0
    for camera in GOOD:
        assert bench.status(camera).encode_failures == 0 and bench.status(camera).last_error == ""


def test_what_is_kept_is_bounded_also_of_cameras_that_are_only_ever_refused(bench):
    bench = bench(min_interval=1, max_interval=2, keyframe_budget_hz=0.01)
    for tag in range(60):
        bench.offer("front", tag, error=InputError("encoding", "encoding 'x' is not known"))
        for camera in ("rear", "left"):   # so short a time that no image pushed out looks like a silence
            bench.offer(camera, tag, stamp_ns=tag * SECOND // 100)
        with bench.live._changed:   # else its thread changes them while they are looked at
            assert all(len(images) <= 3 for images in bench.live._waiting.values())
        assert len(bench.segmenter._encoder._queue) <= 3
    until(lambda: all(status.refused.get("encoding", 0) + status.masks + status.dropped == 60
                      for status in bench.segmenter.status()), TIMEOUT_S)
    front = bench.segmenter.camera("front")
    assert front.scheduler._keyframe is front.scheduler._encoded is front.scheduler._last is front.common is None
    assert not bench.segmenter._parked and not bench.segmenter._pending


# A budget on the frames' time, in mode sync

def replay(budget_hz, seconds=20, cameras=("front", "rear"), mode=Mode.SYNC, scenes=lambda camera, tag: 128, **config):
    """(keyframes as (camera, index, reason), masks, statuses) of cameras at 10 Hz, one frame after the other."""
    keyframes = []
    scheduler = SchedulerConfig(**{"min_interval": 1, "max_interval": 5, "keyframe_budget_hz": budget_hz, **config})
    segmenter = Segmenter(
        FakeBackend(), SIZE, PipelineConfig(mode, scheduler=scheduler),
        on_keyframe=lambda event: keyframes.append((event.frame.camera, event.index, event.reason)))
    try:
        masks = [mask for tag in range(10 * seconds) for number, camera in enumerate(cameras)
                 for mask in segmenter.process(frame(tag % 100, scene=scenes(camera, tag), camera=camera, size=SIZES[camera],
                                                     stamp_ns=number * 10 ** 12 + tag * SECOND // 10))]
        return keyframes, masks + segmenter.flush(), segmenter.status()
    finally:
        segmenter.stop()


@pytest.mark.parametrize("mode", [Mode.SYNC, Mode.TWO_SIDED])
def test_budget_of_a_replay_runs_on_stamps_and_is_the_same_each_time(mode):
    keyframes, masks, statuses = replay(1.0, mode=mode)
    assert keyframes == replay(1.0, mode=mode)[0]
    assert 20 <= len(keyframes) <= 20 + 2 and len(masks) == 400       # 80 without a budget
    assert abs(sum(camera == "front" for camera, *_ in keyframes) - len(keyframes) / 2) <= 1
    for status in statuses:
        assert status.over_budget > 0 and status.overdue > 0


def test_without_a_budget_every_camera_has_its_keyframes():
    keyframes, _, statuses = replay(0.0)
    assert len(keyframes) == 80
    assert [(status.over_budget, status.overdue) for status in statuses] == [(0, 0)] * 2


def test_budget_goes_to_the_camera_that_changes_more():
    """The front camera's picture changes all the time, the rear one's never."""
    keyframes, masks, _ = replay(3.0, threshold=0.3, cut_threshold=10.0, max_interval=25,
                                 scenes=lambda camera, tag: 60 + 70 * (tag % 2) if camera == "front" else 128)
    found = Counter(camera for camera, *_ in keyframes)
    assert found["front"] > 4 * found["rear"] and found["rear"] >= 8
    assert found.total() <= 3 * 20 + 2 * 3
    assert max(mask.feature_age_frames for mask in masks) <= 25 + 10 / 3 + 1   # MaxK, and the budget's next keyframe


def test_hard_cut_goes_before_other_keyframes_of_a_spent_budget():
    keyframes, _, _ = replay(0.5, scenes=lambda camera, tag: 250 if camera == "rear" and tag >= 53 else 128)
    later = [(camera, reason) for camera, index, reason in keyframes if index >= 53]
    assert ("rear", Reason.DEVIATION) in later[:2]


def test_first_keyframes_of_four_cameras_do_not_wait_for_a_small_budget():
    keyframes, masks, _ = replay(4.0, cameras=tuple(SIZES), seconds=1)
    assert [keyframe for keyframe in keyframes if keyframe[1] == 0] == [(camera, 0, Reason.FIRST) for camera in SIZES]
    assert len(masks) == 40 and {mask.mask[0, 0] for mask in masks} <= set(range(CLASSES))


def test_threshold_that_follows_the_encoder_is_reported_for_every_camera(bench, monkeypatch):
    now_ns = 10 ** 12
    monkeypatch.setattr("dcfm_ros.pipeline.encoder.time.monotonic_ns", lambda: now_ns)
    bench = bench(min_interval=1, max_interval=2, threshold_rule="deadline")
    for tag in range(12):
        if tag == 1:
            bench.backend.gate.clear()
        for camera in GOOD:
            bench.offer(camera, tag)
            assert bench.masks.get(timeout=TIMEOUT_S).frame.camera == camera
        now_ns += SECOND // 2 * (tag > 1)
    assert all(1.5 * SchedulerConfig().threshold < bench.status(camera).threshold <= 4 * SchedulerConfig().threshold
               for camera in GOOD)


def test_async_budget_bounds_keyframes_and_not_masks(bench):
    bench = bench(min_interval=1, max_interval=1, keyframe_budget_hz=0.01)
    for tag in range(30):
        bench.offer("front", tag)
        assert bench.masks.get(timeout=TIMEOUT_S).frame.stamp_ns == frame(tag).stamp_ns
    assert bench.backend.encoded == [0] and bench.status("front").over_budget >= 28
    bench.segmenter.reconfigure(SchedulerConfig(1, 1))
    assert [bench.keyframes.get(timeout=TIMEOUT_S).index for _ in range(2)] == [0, 29]   # the newest had waited
