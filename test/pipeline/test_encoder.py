# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The keyframe encoder's thread, with a deep path that the test holds in hand."""
import math
import queue
import threading

import pytest
from pipeline_helpers import TIMEOUT_S, FakeBackend, acquire, frame, join, wait

from dcfm_ros.pipeline.encoder import KeyframeEncoder, KeyframeRequest
from dcfm_ros.pipeline.frames import Reason
from dcfm_ros.pipeline.settings import SchedulerConfig


class Bench:
    """An encoder and what it reported."""

    def __init__(self, clock=None, **config):
        self.backend = FakeBackend()
        self.encoded, self.failed, self.begun = queue.Queue(), queue.Queue(), []
        self.encoder = KeyframeEncoder(
            self.backend, self.encoded.put, lambda *failure: self.failed.put(failure),
            on_begun=self.begun.append, config=SchedulerConfig(**config), clock=clock)

    def request(self, tag, camera="a", urgency=1.0, epoch=0, **fields):
        image = frame(tag, camera=camera)
        return KeyframeRequest(
            image, epoch, tag, image.image, (tag, 16, 24), Reason.DEVIATION, urgency, urgency, **fields)

    def submit(self, tag, camera="a", urgency=1.0):
        request = self.request(tag, camera, urgency)
        self.encoder.submit(request)
        return request

    def hold(self, tag=0, camera="held"):
        """Keep the thread busy with a request; `release` lets it go on."""
        self.backend.gate.clear()
        request = self.submit(tag, camera)
        acquire(self.backend.deep_started)
        return request

    def release(self):
        self.backend.gate.set()


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.release()
    bench.encoder.stop()


@pytest.fixture
def make():
    """Makes benches with other settings."""
    made = []

    def make(**settings):
        made.append(Bench(**settings))
        return made[-1]

    yield make
    for bench in made:
        bench.release()
        bench.encoder.stop()


def test_result_is_reported_before_the_request_is_finished(bench):
    finished_before = []
    bench.encoder._on_encoded = lambda encoded: finished_before.append(encoded.request.finished.is_set())
    request = bench.submit(7)
    wait(request.finished)
    assert finished_before == [False]


def test_result_carries_feature_and_times(bench):
    request = bench.submit(7)
    encoded = bench.encoded.get(timeout=TIMEOUT_S)
    assert encoded.request is request and encoded.feature == (7, 16, 24)
    assert encoded.queue_ms >= 0 and encoded.encode_ms >= 0


def test_newest_of_a_camera_displaces_the_waiting_one_and_ends_its_wait(bench):
    bench.hold(0)
    first, second = bench.submit(1), bench.submit(2)
    wait(first.finished)
    assert not second.finished.is_set()
    third = bench.submit(3)
    wait(second.finished)
    bench.release()
    wait(third.finished)
    assert bench.backend.encoded == [0, 3]
    assert bench.failed.empty()


def test_a_request_under_way_is_not_displaced(bench):
    running = bench.hold(0, camera="a")
    waiting = bench.submit(1, camera="a")
    assert not running.finished.is_set()
    bench.release()
    wait(waiting.finished)
    assert running.finished.is_set() and bench.backend.encoded == [0, 1]


def test_cameras_do_not_displace_each_other(bench):
    bench.hold(0)
    requests = [bench.submit(tag, camera) for tag, camera in ((1, "a"), (2, "b"), (3, "c"))]
    assert not any(request.finished.is_set() for request in requests)
    bench.release()
    for request in requests:
        wait(request.finished)
    assert sorted(bench.backend.encoded) == [0, 1, 2, 3]


def test_most_urgent_first_and_equals_in_order_of_arrival(bench):
    bench.hold(0)
    urgencies = {"a": 1.0, "b": 3.0, "c": math.inf, "d": 1.0, "e": 0.0, "f": math.inf}
    requests = [bench.submit(tag, camera, urgency) for tag, (camera, urgency) in enumerate(urgencies.items(), 1)]
    bench.release()
    for request in requests:
        wait(request.finished)
    assert bench.backend.encoded == [0, 3, 6, 2, 1, 4, 5]


def test_an_idle_encoder_takes_a_request_up_at_once(bench):
    bench.backend.gate.clear()
    first = bench.submit(1)
    assert bench.begun == [first]      # before anything else can come
    second, third = bench.submit(2), bench.submit(3)
    assert bench.begun == [first] and second.finished.is_set()
    bench.release()
    wait(third.finished)
    assert bench.begun == [first, third]


def test_budget_holds_a_request_back_until_there_is_more(make):
    bench = make(keyframe_budget_hz=0.01)   # one is saved up
    wait(bench.submit(1).finished)
    held = bench.request(2)
    assert not bench.encoder.submit(held) and not held.finished.is_set()
    assert bench.encoder.submit(first := bench.request(3, camera="b", is_first=True))   # on credit
    wait(first.finished)
    assert bench.backend.encoded == [1, 3] and bench.begun[-1] is first and not held.finished.is_set()
    bench.encoder.reconfigure(SchedulerConfig(keyframe_budget_hz=0.0))
    wait(held.finished)
    assert bench.backend.encoded == [1, 3, 2]


def test_budget_fills_while_the_encoder_waits(make):
    bench = make(keyframe_budget_hz=20.0)
    requests = [bench.submit(tag, camera=str(tag)) for tag in range(25)]
    for request in requests:
        wait(request.finished)
    assert sorted(bench.backend.encoded) == list(range(25))


def test_stop_ends_a_request_that_the_budget_holds_back(make):
    bench = make(keyframe_budget_hz=0.01)
    wait(bench.submit(1).finished)
    held = bench.submit(2)
    bench.encoder.stop()
    wait(held.finished)
    assert bench.backend.encoded == [1]


def test_with_the_frames_clock_requests_go_at_once_or_not_at_all(make):
    now_ns = 0
    bench = make(clock=lambda: now_ns, keyframe_budget_hz=1.0)
    wait(bench.submit(1).finished)
    refused = bench.request(2)
    assert not bench.encoder.submit(refused) and refused.finished.is_set()
    now_ns = 999_000_000
    assert bench.submit(3).finished.is_set()
    now_ns = 1_000_000_000
    later = bench.request(4)
    assert bench.encoder.submit(later)
    wait(later.finished)
    assert bench.backend.encoded == [1, 4] and [request.index for request in bench.begun] == [1, 4]


class Slices:
    """A deep path in slices; each waits for `go`."""

    def __init__(self, backend):
        self.backend, self.deep = backend, backend.deep
        self.go, self.ended = threading.Semaphore(0), []

    def __call__(self, shallow, give_way):
        self.backend.deep_started.release()
        acquire(self.go)
        try:
            give_way()
        except Exception:
            self.ended.append(shallow[0])
            raise
        return self.deep(shallow)


@pytest.mark.parametrize("fields, encoded", [
    (dict(is_cut=True), [3]), (dict(epoch=1), [3]), (dict(), [1, 3]), (dict(camera="other", is_cut=True), [1, 3])],
    ids=["hard cut", "new sequence", "ordinary", "another camera's cut"])
def test_what_runs_ends_with_its_slice_where_it_has_become_useless(bench, fields, encoded):
    bench.backend.deep = slices = Slices(bench.backend)
    running = bench.submit(1)
    acquire(bench.backend.deep_started)
    newer = bench.request(3, **fields)
    bench.encoder.submit(newer)
    slices.go.release(2)
    for request in (running, newer):
        wait(request.finished)
    assert bench.backend.encoded == encoded and bench.failed.empty()
    assert slices.ended == ([] if 1 in encoded else [1])


def test_cuts_in_a_row_do_not_end_each_other(bench):
    bench.backend.deep = slices = Slices(bench.backend)
    requests = [bench.request(tag, is_cut=True) for tag in (1, 2)]
    for request in requests:
        bench.encoder.submit(request)
    slices.go.release(2)
    for request in requests:
        wait(request.finished)
    assert bench.backend.encoded == [1, 2] and slices.ended == []


def test_what_runs_goes_on_where_the_budget_does_not_allow_another(make):
    bench = make(keyframe_budget_hz=0.01)
    bench.backend.deep = slices = Slices(bench.backend)
    running = bench.submit(1)
    acquire(bench.backend.deep_started)
    bench.encoder.submit(bench.request(2, is_cut=True))
    slices.go.release()
    wait(running.finished)
    assert bench.backend.encoded == [1]


def test_fixed_thresholds_do_not_follow_the_encoder(bench):
    bench.hold(0)
    bench.submit(1)
    assert bench.encoder.relief() == 1.0


def test_thresholds_follow_the_encoder_within_limits(make, monkeypatch):
    now_ns = 0
    monkeypatch.setattr("dcfm_ros.pipeline.encoder.time.monotonic_ns", lambda: now_ns)
    bench = make(threshold_rule="deadline", encoder_share=0.5)
    assert bench.encoder.relief() == 1.0
    bench.hold(0)
    waiting = bench.submit(1)
    factors = []
    for _ in range(20):
        now_ns += 1_000_000_000
        factors.append(bench.encoder.relief())
    assert factors == sorted(factors) and factors[0] > 1.3 and factors[-1] == pytest.approx(4.0)
    bench.release()
    wait(waiting.finished)
    now_ns += 100_000_000_000
    assert bench.encoder.relief() == pytest.approx(0.5)     # nothing to do
    bench.encoder.reconfigure(SchedulerConfig())
    assert bench.encoder.relief() == 1.0


def test_a_failing_encoder_does_not_raise_the_threshold(make, monkeypatch):
    now_ns = 0   # failures take no time, whatever the machine is busy with
    monkeypatch.setattr("dcfm_ros.pipeline.encoder.time.monotonic_ns", lambda: now_ns)
    bench = make(threshold_rule="deadline")
    bench.backend.deep_error = RuntimeError("out of memory")
    for tag in range(5):
        wait(bench.submit(tag).finished)
        now_ns += 1_000_000_000
    assert bench.failed.qsize() == 5 and bench.encoder.relief() < 1.1


def test_failing_deep_path_is_reported_and_the_thread_goes_on(bench):
    bench.backend.deep_error = RuntimeError("out of memory")
    request = bench.submit(1)
    wait(request.finished)
    failed, error = bench.failed.get(timeout=TIMEOUT_S)
    assert failed is request and str(error) == "out of memory" and bench.encoded.empty()
    bench.backend.deep_error = None
    bench.submit(2)
    assert bench.encoded.get(timeout=TIMEOUT_S).request.index == 2


def test_callback_that_raises_is_reported_and_the_thread_goes_on(bench):
    def publish(encoded):
        raise ValueError("publisher is gone")

    bench.encoder._on_encoded = publish
    request = bench.submit(1)
    wait(request.finished)
    assert str(bench.failed.get(timeout=TIMEOUT_S)[1]) == "publisher is gone"
    bench.encoder._on_encoded = bench.encoded.put
    bench.submit(2)
    assert bench.encoded.get(timeout=TIMEOUT_S).request.index == 2


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_report_that_raises_does_not_end_the_thread(bench, caplog):
    def report(request, error):
        raise ValueError("logger is gone")

    bench.encoder._on_failed = report
    bench.backend.deep_error = RuntimeError("out of memory")
    wait(bench.submit(1).finished)
    bench.backend.deep_error = None
    bench.submit(2)
    assert bench.encoded.get(timeout=TIMEOUT_S).request.index == 2
    assert "logger is gone" in caplog.text and "out of memory" in caplog.text


def test_stop_releases_what_waits_and_joins_after_the_running_encode(bench):
    running = bench.hold(0)
    waiting = bench.submit(1)
    stopping = threading.Thread(target=bench.encoder.stop)
    stopping.start()
    wait(waiting.finished)  # at once, although the deep path is still busy
    assert stopping.is_alive() and not running.finished.is_set()
    bench.release()
    join(stopping)
    wait(running.finished)
    assert bench.backend.encoded == [0] and bench.encoded.qsize() == 1
    assert not bench.encoder._thread.is_alive()


def test_submit_after_stop_does_not_hang(bench):
    bench.encoder.stop()
    request = bench.submit(1)
    wait(request.finished)
    assert bench.backend.encoded == [] and bench.encoded.empty() and bench.failed.empty()
    bench.encoder.stop()  # a second time is harmless


def test_every_wait_ends_whatever_happens():
    """Many threads submit while the encoder stops."""
    bench = Bench()
    requests, lock = [], threading.Lock()

    def submit(camera):
        for tag in range(50):
            request = bench.submit(tag, camera, float(tag % 5))
            with lock:
                requests.append(request)

    threads = [threading.Thread(target=submit, args=(camera,)) for camera in "aabbcc"]
    for thread in threads:
        thread.start()
    bench.encoded.get(timeout=TIMEOUT_S)
    bench.encoder.stop()
    for thread in threads:
        join(thread)
    assert len(requests) == 300
    for request in requests:
        wait(request.finished)
