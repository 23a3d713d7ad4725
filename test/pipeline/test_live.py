# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live driving: the newest image of each camera wins. The shallow path stands still while a test says so."""

import queue
import threading

import pytest
from pipeline_helpers import PERIOD_NS, SIZE, TIMEOUT_S, FakeBackend, acquire, frame, in_thread, join
from waiting_helpers import until

from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import PipelineConfig, SchedulerConfig


class Bench:
    def __init__(self, waiting=1, mode="async"):
        self.backend = FakeBackend()
        self.masks, self.errors, self.keyframes = queue.Queue(), queue.Queue(), queue.Queue()
        # tests put others in their places
        self.publish, self.report = (self.masks.put, lambda *error: self.errors.put(error))
        self.segmenter = Segmenter(
            self.backend,
            SIZE,
            PipelineConfig(mode=mode, scheduler=SchedulerConfig(2, 5)),
            on_keyframe=self.keyframes.put,
            on_error=lambda *error: self.report(*error),
        )
        self.loaded = []  # (camera, tag), on the mask thread
        self.start(waiting)

    def start(self, waiting=1):
        self.live = LiveSegmenter(self.segmenter, lambda mask: self.publish(mask), waiting)

    def offer(self, tag, camera="", error=None):
        def load(received_ns):
            self.loaded.append((camera, tag))
            if error is not None:
                raise error
            return frame(tag, camera=camera, received_ns=received_ns)

        self.live.offer(camera, load)

    def mask(self):
        """(camera, tag, dropped before it) of the next mask."""
        mask = self.masks.get(timeout=TIMEOUT_S)
        return mask.frame.camera, mask.frame.stamp_ns // PERIOD_NS, mask.dropped

    def begin(self, *cameras):
        """Frame 0 of each: none has to wait for its first common feature any more."""
        for camera in cameras:
            self.offer(0, camera)
            assert self.mask()[:2] == (camera, 0)
            acquire(self.backend.shallow_started)

    def hold(self, tag=0, camera=""):
        """Keep the mask thread busy with an image."""
        self.backend.shallow_gate.clear()
        self.offer(tag, camera)
        acquire(self.backend.shallow_started)

    def release(self):
        self.backend.shallow_gate.set()

    def status(self, camera=""):
        return next(status for status in self.segmenter.status() if status.camera == camera)

    def is_alive(self):
        return any(thread.name == "dcfm-masks" for thread in threading.enumerate())


@pytest.fixture
def bench(request):
    bench = Bench(getattr(request, "param", 1))
    yield bench
    bench.release()
    bench.live.stop()
    bench.segmenter.stop()


def test_image_becomes_a_mask_with_its_latency(bench):
    bench.offer(3)
    mask = bench.masks.get(timeout=TIMEOUT_S)
    assert mask.frame.stamp_ns == 3 * PERIOD_NS and mask.latency_ms > 0 and mask.dropped == 0
    status = bench.status()
    assert status.received == 1 and status.silent_s >= 0 and status.input_hz > 0


def test_newest_wins_and_drops_are_counted(bench):
    bench.hold(0)
    for tag in (1, 2, 3):
        bench.offer(tag)
    bench.release()
    assert bench.mask() == ("", 0, 2)  # told with the first mask after the drops
    assert bench.mask() == ("", 3, 0)
    assert bench.loaded == [("", 0), ("", 3)]  # dropped images cost nothing
    status = bench.status()
    assert status.received == 4 and status.masks == 2 and status.dropped == 2


@pytest.mark.parametrize("bench", [3], indirect=True)
def test_several_may_wait_and_then_the_oldest_goes(bench):
    bench.begin("", "other")
    bench.hold(0)
    for tag in (1, 2, 3, 4):
        bench.offer(tag)
    bench.offer(9, camera="other")
    bench.release()
    assert bench.mask() == ("", 0, 1)
    assert [bench.mask()[:2] for _ in range(4)] == [("other", 9), ("", 2), ("", 3), ("", 4)]
    assert bench.status().dropped == 1


def test_offering_never_waits(bench):
    bench.hold(0)
    thread, _ = in_thread(lambda: [bench.offer(tag) for tag in range(1, 100)])
    join(thread)  # although nothing is processed
    assert bench.masks.empty()
    bench.release()
    assert bench.mask()[1] == 0 and bench.mask()[1] == 99


def test_refused_images_are_counted_by_kind_and_reported(bench):
    bench.offer(0, error=InputError("encoding", "encoding 'bayer16' is not known"))
    camera, error = bench.errors.get(timeout=TIMEOUT_S)
    assert camera == "" and "bayer16" in str(error)
    for kind in ("size", "encoding"):
        bench.offer(1, error=InputError(kind, "bad"))
        bench.errors.get(timeout=TIMEOUT_S)
    bench.offer(2)
    assert bench.mask() == ("", 2, 0)
    status = bench.status()
    assert status.refused == {"encoding": 2, "size": 1} and status.failures == 0 and status.received == 4


@pytest.mark.parametrize("error", [RuntimeError("no memory"), ValueError("shape"), MemoryError()])
def test_error_while_processing_is_counted_and_the_next_frame_works(bench, error):
    bench.backend.shallow_error = error
    bench.offer(0)
    assert bench.errors.get(timeout=TIMEOUT_S) == ("", error)
    bench.backend.shallow_error = None
    bench.offer(1)
    assert bench.mask()[1] == 1
    status = bench.status()
    assert (
        status.failures == 1 and status.refused == {} and status.last_error == (str(error) or "MemoryError")
    )


def test_error_while_publishing_does_not_end_the_masks(bench):
    def publish(mask):
        raise OSError("publisher is gone")

    bench.publish = publish
    bench.offer(0)
    assert str(bench.errors.get(timeout=TIMEOUT_S)[1]) == "mask: publisher is gone"
    bench.publish = bench.masks.put
    bench.offer(1)
    assert bench.mask()[1] == 1 and bench.status().publish_failures == 1 and bench.status().failures == 0


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_report_that_raises_does_not_end_the_masks(bench, caplog):
    def report(camera, error):
        raise OSError("logger is gone")

    bench.report = report
    bench.offer(0, error=InputError("encoding", "bad"))
    bench.offer(0, "other")  # after it
    bench.mask()
    bench.offer(1)
    assert bench.mask()[1] == 1 and bench.status().refused == {"encoding": 1}
    assert "logger is gone" in caplog.text


def test_camera_without_a_feature_sends_nothing_until_it_has_one(bench):
    bench.backend.deep_error = RuntimeError("out of memory")
    for number in range(3):
        bench.offer(number)
        acquire(bench.backend.deep_started)
    bench.backend.deep_error = None
    bench.offer(3)
    while bench.mask()[1] != 3:
        pass
    assert bench.status().encode_failures >= 1 and bench.status().failures == 0


def test_stop_finishes_the_frame_in_work_drops_what_waits_and_joins(bench):
    bench.begin("")
    bench.hold(0)
    bench.offer(1)
    stopping = threading.Thread(target=bench.live.stop)
    stopping.start()
    until(lambda: bench.status().discarded == 1, TIMEOUT_S)
    assert bench.is_alive()
    bench.release()
    join(stopping)
    assert not bench.is_alive() and bench.mask()[1] == 0 and bench.masks.empty()


def test_offer_after_stop_does_not_hang_and_another_live_segmenter_goes_on(bench):
    bench.offer(0)
    bench.mask()
    bench.live.stop()
    bench.offer(1)
    bench.live.stop()  # a second time is harmless
    assert bench.masks.empty()
    bench.start()
    bench.offer(2)
    mask = bench.masks.get(timeout=TIMEOUT_S)
    assert mask.index == 1 and not mask.is_keyframe  # the camera's sequence goes on


def test_many_threads_may_offer_and_nothing_is_lost_from_the_count(bench):
    cameras = "abc"
    threads = [
        threading.Thread(target=lambda c=camera: [bench.offer(tag, c) for tag in range(80)])
        for camera in cameras
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        join(thread)
    seen = {camera: [] for camera in cameras}
    last = 80
    for camera in cameras:
        bench.offer(last, camera)
    pending = set(cameras)
    while pending:
        camera, tag, dropped = bench.mask()
        seen[camera].append(dropped)
        if tag == last:
            pending.discard(camera)
    for camera in cameras:
        status = bench.status(camera)
        assert status.received == 241 and status.masks == len(seen[camera])
        assert status.masks + status.dropped == status.received
        assert sum(seen[camera]) == status.dropped
    assert bench.errors.empty()


def test_a_camera_that_waits_for_its_first_feature_does_not_hold_others_up(bench):
    bench.begin("old")
    bench.backend.gate.clear()
    bench.offer(1, "new")
    acquire(bench.backend.deep_started)  # of frame 0 of `old`
    acquire(bench.backend.deep_started)  # of the first frame of `new`
    for tag in (2, 3):
        bench.offer(tag, "new")
    for tag in (1, 2, 3):
        bench.offer(tag, "old")
        assert bench.mask()[:2] == ("old", tag)
    bench.backend.gate.set()
    assert bench.mask() == ("new", 1, 1)
    assert bench.mask() == ("new", 3, 0)


def test_a_size_that_must_be_compiled_does_not_hold_others_up(bench):
    bench.begin("old")
    compiling, go = threading.Event(), threading.Event()
    bench.backend.prepare = lambda size: (compiling.set(), go.wait(TIMEOUT_S))
    bench.live.offer("wide", lambda ns: frame(1, camera="wide", size=(64, 192), received_ns=ns))
    assert compiling.wait(TIMEOUT_S)
    for tag in (1, 2, 3):
        bench.offer(tag, "old")
        assert bench.mask()[:2] == ("old", tag)
    go.set()
    assert bench.mask()[:2] == ("wide", 1)


def test_a_size_that_cannot_be_compiled_is_told_by_its_frames_which_try_again(bench):
    bench.begin("old")

    def prepare(size):
        raise RuntimeError("no memory for it")

    def offer_wide(tag):
        bench.live.offer("wide", lambda ns: frame(tag, camera="wide", size=(64, 192), received_ns=ns))

    prepared, bench.backend.prepare = bench.backend.prepare, prepare
    for tag in (1, 2):
        offer_wide(tag)
        camera, error = bench.errors.get(timeout=TIMEOUT_S)
        assert camera == "wide" and str(error) == "no memory for it" and bench.status("wide").failures == tag
    bench.offer(1, "old")
    assert bench.mask()[:2] == ("old", 1)
    bench.backend.prepare = prepared
    offer_wide(3)
    assert bench.mask()[:2] == ("wide", 3)


def test_keyframes_are_reported_though_no_other_frame_comes(bench):
    bench.begin("")
    assert bench.keyframes.get(timeout=TIMEOUT_S).index == 0
    bench.segmenter.request_keyframe()
    bench.backend.gate.clear()
    bench.offer(1)
    assert bench.mask()[1] == 1 and bench.keyframes.empty()  # the deep path still stands
    bench.backend.gate.set()
    assert bench.keyframes.get(timeout=TIMEOUT_S).index == 1


def test_a_suspended_frame_is_discarded_when_the_live_segmenter_stops(bench):
    bench.backend.gate.clear()
    bench.offer(0)
    acquire(bench.backend.deep_started)
    bench.live.stop()
    assert bench.status().discarded == 1
    bench.start()
    bench.backend.gate.set()
    bench.offer(1)
    assert bench.mask()[1] == 1 and bench.masks.empty()


def test_frames_that_wait_for_a_keyframe_are_forgotten_when_the_live_segmenter_stops():
    """Mode two_sided: otherwise their masks would come with the first keyframe after the next start, however
    long after."""
    bench = Bench(mode="two_sided")
    try:
        bench.begin("")
        for tag in (1, 2):
            bench.offer(tag)
            acquire(bench.backend.shallow_started)
        bench.live.stop()
        bench.start(waiting=10)
        for tag in (3, 4, 5):  # the last is MaxK frames after the first
            bench.offer(tag)
        assert [bench.mask()[1] for _ in range(3)] == [3, 4, 5] and bench.masks.empty()
        assert bench.status().discarded == 2
    finally:
        bench.live.stop()
        bench.segmenter.stop()


class Halt:
    """The first call of a method from now on stands still until the test lets it go."""

    def __init__(self, method):
        self.reached, self.go, self._method = threading.Event(), threading.Event(), method

    def __call__(self, *arguments):
        self.reached.set()
        assert self.go.wait(TIMEOUT_S)
        return self._method(*arguments)


@pytest.mark.parametrize("mode", ["async", "sync", "two_sided"])
@pytest.mark.parametrize("moment", ["load", "prepare", "shallow", "deep", "mask", "publish"])
def test_stopping_at_any_moment(mode, moment):
    """Of a frame's way; others wait behind it. What is on its way ends, the rest is discarded, and no thread
    is left."""
    bench = Bench(waiting=3, mode=mode)
    halt = Halt(getattr(bench.backend, moment, lambda *arguments: None))
    if moment == "publish":
        bench.publish = lambda mask: (halt(), bench.masks.put(mask))
    elif moment != "load":
        setattr(bench.backend, moment, halt)
    bench.live.offer("", lambda ns: (halt() if moment == "load" else None, frame(0, received_ns=ns))[1])
    assert halt.reached.wait(TIMEOUT_S)
    for tag in (1, 2):
        bench.offer(tag)
    stopping, _ = in_thread(
        lambda: (bench.segmenter.end_encodes(), bench.live.stop(), bench.segmenter.stop())
    )
    # Of an encode on its own thread nobody tells from outside that it is to end.
    until(lambda: bench.status().discarded >= 2 or (moment, mode) == ("deep", "async"), TIMEOUT_S)
    halt.go.set()
    join(stopping)
    status = bench.status()
    assert (
        status.received == status.masks + status.discarded + status.without_feature and status.failures == 0
    )
    assert not [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith(("dcfm-masks", "dcfm-key", "dcfm-comp"))
    ]


def test_a_frame_that_does_not_end_is_left_behind_and_refuses_another_life(bench, monkeypatch, caplog):
    monkeypatch.setattr("dcfm_ros.pipeline.keyframe.JOIN_S", 0.01)
    bench.hold(0)
    bench.live.stop()
    assert "thread dcfm-masks did not end in time" in caplog.text
    with pytest.raises(RuntimeError, match="is still in progress, because its deep path does not"):
        bench.start()
    bench.release()
    until(lambda: not bench.is_alive(), TIMEOUT_S)
    assert bench.masks.empty()  # nobody waits for it any more
    bench.start()
    bench.offer(1)
    assert bench.mask()[1] == 1
