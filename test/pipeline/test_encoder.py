# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The keyframe encoders, with a deep path that the test holds in hand."""

import gc
import math
import threading
import weakref

import pytest
from pipeline_helpers import TIMEOUT_S, FakeBackend, Slices, acquire, in_thread, join, keyframe, settle
from waiting_helpers import until

from dcfm_ros.pipeline.budget import StampClock
from dcfm_ros.pipeline.encoder import InlineEncoder, ThreadedEncoder
from dcfm_ros.pipeline.keyframe import Superseded
from dcfm_ros.pipeline.settings import SchedulerConfig


class Bench:
    """A threaded encoder whose deep path can be held."""

    def __init__(self, **config):
        self.backend = FakeBackend()
        self.encoder = ThreadedEncoder(self.backend, config=SchedulerConfig(**config))

    def submit(self, tag, camera="a", urgency=1.0, **fields):
        made = keyframe(camera, urgency, tag=tag, **fields)
        self.encoder.submit(made)
        return made

    def hold(self, tag=0, camera="held"):
        """Keep the thread busy with a keyframe; `release` lets it go on."""
        self.backend.gate.clear()
        made = self.submit(tag, camera)
        acquire(self.backend.deep_started)
        return made

    def release(self):
        self.backend.gate.set()


@pytest.fixture
def make():
    """Makes benches of which nothing stays."""
    made = []

    def make(**settings):
        made.append(Bench(**settings))
        return made[-1]

    yield make
    for bench in made:
        bench.release()
        bench.encoder.stop()


@pytest.fixture
def bench(make):
    return make()


def feature(made):
    return made.outcome.result(TIMEOUT_S)


def test_outcome_is_the_feature_with_times(bench):
    made = bench.submit(7)
    assert feature(made) == (7, 16, 24) and made.requested_ns <= made.started_ns <= made.ended_ns


def test_newest_of_a_camera_displaces_the_waiting_one(bench):
    bench.hold(0)
    first, second = bench.submit(1), bench.submit(2)
    assert first.outcome.cancelled() and not second.outcome.done()
    third = bench.submit(3)
    assert second.outcome.cancelled() and not second.has_started
    bench.release()
    assert feature(third) == (3, 16, 24) and bench.backend.encoded == [0, 3]


def test_what_runs_is_not_displaced_and_cameras_do_not_displace_each_other(bench):
    made = [
        bench.hold(0, camera="a"),
        *(bench.submit(tag, camera) for tag, camera in ((1, "a"), (2, "b"), (3, "c"))),
    ]
    assert not any(one.outcome.done() for one in made)
    bench.release()
    assert [feature(one)[0] for one in made] == [0, 1, 2, 3]


def test_most_urgent_first_and_equals_in_order_of_arrival(bench):
    bench.hold(0)
    urgencies = {"a": 1.0, "b": 3.0, "c": math.inf, "d": 1.0, "e": 0.0, "f": math.inf}
    made = [bench.submit(tag, camera, urgency) for tag, (camera, urgency) in enumerate(urgencies.items(), 1)]
    bench.release()
    for one in made:
        settle(one.outcome)
    assert bench.backend.encoded == [0, 3, 6, 2, 1, 4, 5]


def test_an_idle_encoder_takes_a_keyframe_up_at_once(bench):
    bench.backend.gate.clear()
    first = bench.submit(1)
    assert first.has_started and bench.encoder.running() is first  # before anything else can come
    second, third = bench.submit(2), bench.submit(3)
    assert second.outcome.cancelled() and not third.has_started
    bench.release()
    settle(third.outcome)
    assert third.has_started


def test_budget_holds_a_keyframe_back_until_there_is_more(make):
    bench = make(keyframe_budget_hz=0.01)  # one is saved up
    settle(bench.submit(1).outcome)
    held = keyframe("a", tag=2)
    assert not bench.encoder.submit(held) and not held.outcome.done()
    first = keyframe("b", tag=3, is_first=True)
    assert bench.encoder.submit(first)  # on credit
    settle(first.outcome)
    assert bench.backend.encoded == [1, 3] and not held.has_started
    bench.encoder.reconfigure(SchedulerConfig(keyframe_budget_hz=0.0))
    settle(held.outcome)
    assert bench.backend.encoded == [1, 3, 2]


def test_budget_fills_while_the_encoder_waits(make):
    bench = make(keyframe_budget_hz=20.0)
    for made in [bench.submit(tag, camera=str(tag)) for tag in range(25)]:
        settle(made.outcome)
    assert sorted(bench.backend.encoded) == list(range(25))


def test_stop_cancels_a_keyframe_that_the_budget_holds_back(make):
    bench = make(keyframe_budget_hz=0.01)
    settle(bench.submit(1).outcome)
    held = bench.submit(2)
    bench.encoder.stop()
    assert held.outcome.cancelled() and bench.backend.encoded == [1]


def test_what_runs_ends_with_its_slice_once_it_is_superseded(bench):
    slices = Slices(bench.backend)
    running, newer = bench.submit(1), bench.submit(3)
    acquire(bench.backend.deep_started)
    running.superseded.set()
    slices.go.release(2)
    assert isinstance(running.outcome.exception(TIMEOUT_S), Superseded) and feature(newer)[0] == 3
    assert bench.backend.encoded == [3]


def test_what_is_superseded_while_it_waits_does_not_run(bench):
    bench.hold(0)
    waiting = bench.submit(1)
    waiting.superseded.set()
    bench.release()
    assert isinstance(waiting.outcome.exception(TIMEOUT_S), Superseded) and bench.backend.encoded == [0]


def test_thresholds_follow_the_encoder_within_limits_if_they_are_to(make, monkeypatch):
    now_ns = 0
    monkeypatch.setattr("dcfm_ros.pipeline.encoder.time.monotonic_ns", lambda: now_ns)
    bench = make(threshold_rule="deadline", encoder_share=0.5)
    assert bench.encoder.threshold_scale() == 1.0
    bench.hold(0)
    waiting = bench.submit(1)
    factors = []
    for _ in range(20):
        now_ns += 1_000_000_000
        factors.append(bench.encoder.threshold_scale())
    assert factors == sorted(factors) and factors[0] > 1.3 and factors[-1] == pytest.approx(4.0)
    bench.release()
    settle(waiting.outcome)
    until(lambda: bench.encoder.running() is None, TIMEOUT_S)
    now_ns += 100_000_000_000
    assert bench.encoder.threshold_scale() == pytest.approx(0.5)  # nothing to do
    bench.encoder.reconfigure(SchedulerConfig())
    assert bench.encoder.threshold_scale() == 1.0


def test_a_failing_encoder_does_not_raise_the_threshold(make, monkeypatch):
    now_ns = 0  # failures take no time, whatever the machine is busy with
    monkeypatch.setattr("dcfm_ros.pipeline.encoder.time.monotonic_ns", lambda: now_ns)
    bench = make(threshold_rule="deadline")
    bench.backend.deep_error = RuntimeError("out of memory")
    for tag in range(5):
        assert str(bench.submit(tag).outcome.exception(TIMEOUT_S)) == "out of memory"
        until(lambda: bench.encoder.running() is None, TIMEOUT_S)
        now_ns += 1_000_000_000
    assert bench.encoder.threshold_scale() < 1.1


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError()])
def test_a_failing_deep_path_is_the_outcome_and_the_thread_goes_on(bench, error):
    bench.backend.deep_error = error
    assert bench.submit(1).outcome.exception(TIMEOUT_S) is error
    bench.backend.deep_error = None
    assert feature(bench.submit(2))[0] == 2


def test_stop_cancels_what_waits_and_joins_after_the_running_encode(bench):
    running, waiting = bench.hold(0), bench.submit(1)
    stopping, _ = in_thread(bench.encoder.stop)
    settle(waiting.outcome)  # at once, although the deep path is still busy
    assert waiting.outcome.cancelled() and stopping.is_alive() and not running.outcome.done()
    bench.release()
    join(stopping)
    assert running.outcome.done() and bench.backend.encoded == [0]
    late = bench.submit(2)
    assert late.outcome.cancelled() and bench.backend.encoded == [0]
    bench.encoder.stop()  # a second time is harmless


def test_a_deep_path_that_does_not_return_is_left_behind(bench, monkeypatch, caplog):
    monkeypatch.setattr("dcfm_ros.pipeline.keyframe.JOIN_S", 0.01)
    running = bench.hold(0)
    for _ in range(2):
        bench.encoder.stop()
    assert (
        caplog.text.count("thread dcfm-keyframe-encoder did not end in time") == 1
        and not running.outcome.done()
    )


@pytest.mark.parametrize("error", [None, RuntimeError("out of memory")], ids=["superseded", "failed"])
def test_a_keyframe_that_came_to_nothing_is_not_kept(bench, error):
    """No cycle of exception, traceback and frames holds its features until the garbage collector comes."""
    slices = Slices(bench.backend)
    bench.backend.deep_error = error
    made = bench.submit(1)
    acquire(bench.backend.deep_started)
    if error is None:
        made.superseded.set()
    gc.disable()
    try:
        kept = weakref.ref(made)
        slices.go.release()
        assert made.outcome.exception(TIMEOUT_S) is not None
        del made
        until(lambda: bench.encoder.running() is None and kept() is None, TIMEOUT_S)
    finally:
        gc.enable()


def test_whoever_is_woken_by_an_outcome_finds_an_idle_encoder(bench):
    found = []
    for tag in range(50):
        made = keyframe("a", tag=tag)
        made.outcome.add_done_callback(lambda outcome: found.append(bench.encoder.running()))
        bench.encoder.submit(made)
        settle(made.outcome)
        assert made.has_started
    until(lambda: len(found) == 50, TIMEOUT_S)
    assert found == [None] * 50


def test_every_keyframe_has_an_outcome_whatever_happens(bench):
    """Many threads submit while the encoder stops."""
    made, lock = [], threading.Lock()

    def submit(camera):
        for tag in range(50):
            one = bench.submit(tag, camera, float(tag % 5))
            with lock:
                made.append(one)

    threads = [threading.Thread(target=submit, args=(camera,)) for camera in "aabbcc"]
    for thread in threads:
        thread.start()
    acquire(bench.backend.deep_started)
    bench.encoder.stop()
    for thread in threads:
        join(thread)
    assert len(made) == 300
    for one in made:
        settle(one.outcome)


# Within the frame


@pytest.fixture
def inline():
    stamps, backend = StampClock(), FakeBackend()
    return InlineEncoder(backend, stamps, SchedulerConfig(keyframe_budget_hz=1.0)), backend, stamps


def test_inline_keyframes_are_encoded_at_once_or_not_at_all(inline):
    encoder, backend, stamps = inline
    outcomes = []
    for tag, stamp_ns in enumerate((0, 0, 999_000_000, 1_000_000_000)):
        stamps.advance("a", stamp_ns)
        made = keyframe("a", tag=tag)
        assert (
            encoder.submit(made) is not made.outcome.cancelled()
            and made.outcome.done()
            and encoder.running() is None
        )
        outcomes.append(made.has_started)
    assert outcomes == [True, False, False, True] and backend.encoded == [0, 3]


def test_inline_encode_ends_with_its_slice_when_the_encoder_stops(inline):
    encoder, backend, _ = inline
    slices = Slices(backend)
    made = keyframe("a")
    submitting, _ = in_thread(encoder.submit, made)
    acquire(backend.deep_started)
    encoder.stop()
    slices.go.release()
    join(submitting)
    assert isinstance(made.outcome.exception(), Superseded) and backend.encoded == []
    late = keyframe("b")
    encoder.submit(late)
    assert late.outcome.cancelled()


def test_inline_interrupt_reaches_the_caller(inline):
    encoder, backend, _ = inline
    backend.deep_error = KeyboardInterrupt()
    made = keyframe("a")
    with pytest.raises(KeyboardInterrupt):
        encoder.submit(made)
    assert made.outcome.done() and encoder.running() is None
