# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No mask waits for the deep path, however slow it is: an encode takes as long as ten frames, and one follows
the other."""

import queue
import threading
import time

import pytest
from pipeline_helpers import (
    SIZE,
    TIMEOUT_S,
    FakeBackend,
    acquire,
    frame,
    in_thread,
    join,
    settle,
    until_it_waits,
)

from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import PipelineConfig, SchedulerConfig, TurnTaking

PERIOD_S = 0.04
ENCODE_S = 10 * PERIOD_S
SLICES = 20
FRAMES = 60


class SlowBackend(FakeBackend):
    """Its deep path takes ENCODE_S, in slices, or what `work` takes for each slice."""

    def __init__(self, slices, work=time.sleep):
        super().__init__()
        self._slices, self._work = slices, work

    def deep(self, shallow, between_slices=lambda: None):
        for _ in range(self._slices):
            between_slices()
            self._work(ENCODE_S / self._slices)
        return super().deep(shallow)


class Stalls:
    """Times in which the machine left this process without a core, as a thread finds them that does nothing
    but sleep."""

    def __init__(self):
        self._found, self._stopping = [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        before = time.monotonic_ns()
        while not self._stopping.wait(0.005):
            now = time.monotonic_ns()
            if now - before > 20_000_000:
                self._found.append((before, now))
            before = now

    def stop(self):
        self._stopping.set()
        join(self._thread)

    def within_ms(self, first_ns, last_ns):
        """Return the share of this time that they took."""
        return sum(max(0, min(last_ns, end) - max(first_ns, begin)) for begin, end in self._found) / 1e6


@pytest.mark.slow
@pytest.mark.parametrize(
    "turns, slices", [(TurnTaking.SLICED, SLICES), (TurnTaking.CONCURRENT, 1), (TurnTaking.SLICED, 1)]
)
def test_every_frame_gets_its_mask_and_no_latency_contains_the_encode(turns, slices):
    backend, masks, errors, events = SlowBackend(slices), queue.Queue(), [], []
    segmenter = Segmenter(
        backend,
        SIZE,
        PipelineConfig(scheduler=SchedulerConfig(1, 1), turns=turns),
        on_keyframe=events.append,
        on_error=lambda *error: errors.append(error),
    )
    live = LiveSegmenter(segmenter, masks.put, waiting=FRAMES)  # what waits too long is late, not dropped
    stalls = Stalls()
    try:
        live.offer("", lambda ns: frame(0, received_ns=ns))
        assert masks.get(timeout=TIMEOUT_S).index == 0  # the first alone waits for its common feature
        due = time.monotonic()
        for tag in range(1, FRAMES + 1):
            due = max(due, time.monotonic()) + PERIOD_S  # after a stall a camera does not send all at once
            time.sleep(max(0.0, due - time.monotonic()))
            live.offer("", lambda ns, tag=tag: frame(tag % 100, received_ns=ns))
        made = [masks.get(timeout=TIMEOUT_S) for _ in range(FRAMES)]
    finally:
        live.stop()
        segmenter.stop()
        stalls.stop()
    assert [mask.index for mask in made] == list(range(1, FRAMES + 1)) and not errors
    late = []
    for mask in made:
        began_ns = mask.frame.received_ns
        stalled_ms = stalls.within_ms(began_ns, began_ns + round(1e6 * mask.latency_ms))
        if mask.latency_ms - stalled_ms > 1e3 * ENCODE_S / 2:
            late.append(mask.index)
    # the machine may keep the mask thread alone from a core now and then; a pipeline that waited for the deep
    # path would be late at least once in each encode
    assert len(late) < FRAMES * PERIOD_S / ENCODE_S / 2, late
    assert len(events) >= 3  # neither does the deep path starve
    assert max(event.encode_ms for event in events) >= 1e3 * ENCODE_S


def test_an_encode_ends_with_its_slice_when_the_segmenter_stops():
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def work(seconds):  # as long as the test wants
        begun.release()
        acquire(go)

    backend = SlowBackend(SLICES, work)
    segmenter = Segmenter(backend, SIZE, PipelineConfig(scheduler=SchedulerConfig(1, 1)))
    go.release(SLICES)
    segmenter.process(frame(0))
    for _ in range(SLICES):
        acquire(begun)
    segmenter.process(frame(1))
    acquire(begun)  # its first slice is at work
    waiting = until_it_waits(segmenter.steps(frame(0, camera="other")))
    stopping, _ = in_thread(segmenter.stop)
    settle(waiting)  # the encoder knows that it is to stop
    assert stopping.is_alive()
    go.release()
    join(stopping)
    assert backend.encoded == [0] and not begun.acquire(blocking=False)  # no other slice has begun
