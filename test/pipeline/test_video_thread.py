# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live video: every packet is decoded, in order; a decoder that falls behind goes on at a key picture, and
says what it has dropped."""

import queue
import threading

import pytest
from pipeline_helpers import TIMEOUT_S, in_thread, join
from video_packet_helpers import FRAMES, GOP, encoded, told

from dcfm_ros.pipeline.video_packets import Packet, VideoDecoder
from dcfm_ros.pipeline.video_thread import VideoThread

ALL = list(range(FRAMES))


class Bench:
    """A video thread whose taker can be held up."""

    def __init__(self, waiting=60):
        self.outcomes, self.gate, self.busy = queue.Queue(), threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.video = VideoThread(self._take, "test", waiting)

    def _take(self, outcome):
        self.busy.release()
        assert self.gate.wait(TIMEOUT_S)
        self.outcomes.put(outcome)

    def put(self, packets):
        for one in packets:
            self.video.put(one.packet())

    def hold(self, packets):
        """The first packet is being handed over, and what follows waits."""
        self.gate.clear()
        self.put(packets[:1])
        assert self.busy.acquire(timeout=TIMEOUT_S)
        self.put(packets[1:])

    def take(self, count):
        self.gate.set()
        return [self.outcomes.get(timeout=TIMEOUT_S) for _ in range(count)]


@pytest.fixture
def bench(request):
    bench = Bench(getattr(request, "param", 60))
    yield bench
    bench.gate.set()
    bench.video.stop()
    assert not any(thread.name == "dcfm-video-test" for thread in threading.enumerate())


@pytest.mark.parametrize("name", ["h264", "h265", "vp9"])
def test_every_packet_is_decoded_in_order(bench, name):
    bench.put(encoded(name))
    assert told(bench.take(FRAMES)) == ALL


def test_putting_never_waits(bench):
    bench.gate.clear()
    thread, _ = in_thread(bench.put, encoded("h264") * 20)
    join(thread)


@pytest.mark.parametrize("bench", [15], indirect=True)
def test_who_falls_behind_goes_on_at_the_last_key_picture_that_waits(bench):
    bench.hold(encoded("h264")[:18])  # 0 is handed over, 1 to 15 wait, and 16 is one too many
    outcomes = bench.take(18)
    assert told(outcomes) == [0] + ["overrun"] * 9 + ALL[10:18]
    assert [outcome.packet.context for outcome in outcomes] == ALL[:18]
    assert str(outcomes[1].error).startswith(
        "9 video packets were dropped, as decoding fell 15 packets behind: lower the camera's rate"
    )


@pytest.mark.parametrize("bench", [4], indirect=True)
def test_without_one_it_waits_for_the_next(bench):
    bench.hold(encoded("h264")[:7])  # 1 to 4 are dropped for 5
    outcomes = bench.take(7)
    bench.put(encoded("h264")[7:9])
    bench.take(2)
    for one in encoded("h264")[9:]:  # one at a time
        bench.put([one])
        outcomes += bench.take(1)
    assert told(outcomes) == [0] + ["overrun"] * 4 + ["key"] * 3 + ALL[GOP:]


@pytest.mark.parametrize("bench", [3], indirect=True)
def test_what_waits_is_bounded_and_every_packet_has_an_outcome(bench):
    bench.hold(encoded("h264"))
    outcomes = bench.take(FRAMES)
    assert [outcome.packet.context for outcome in outcomes] == ALL
    assert sum(outcome.error is None for outcome in outcomes) <= 1 + 3


def test_a_loss_on_the_way_is_heeded(bench):
    stream = encoded("vp9")  # which does not tell of it
    bench.put(stream[:1])
    outcomes = bench.take(1)
    bench.video.lose()
    bench.put(stream[2:])
    assert told(outcomes + bench.take(FRAMES - 2)) == [0] + ["key"] * (GOP - 2) + ALL[GOP:]


def test_after_stop_nothing_is_handed_over(bench):
    bench.hold(encoded("h264")[:5])
    thread, _ = in_thread(bench.video.stop)
    bench.gate.set()
    join(thread)
    bench.put(encoded("h264"))
    assert told(list(bench.outcomes.queue)) in ([0], [0, 1])  # what was being handed over


def test_errors_end_nothing(monkeypatch):
    taken, decode = queue.Queue(), VideoDecoder.decode

    def take(outcome):
        taken.put(outcome)
        if outcome.packet.context == 12:
            raise RuntimeError("not wanted")

    def failing(self, packet):
        if packet.context == 3:
            raise MemoryError("no room")
        return decode(self, packet)

    monkeypatch.setattr(VideoDecoder, "decode", failing)
    video = VideoThread(take)
    for one in encoded("h264"):
        video.put(one.packet())
    outcomes = [taken.get(timeout=TIMEOUT_S) for _ in ALL]
    video.stop()
    assert told(outcomes) == [0, 1, 2, "packet"] + ["key"] * 6 + ALL[GOP:]
    assert "cannot be decoded: no room" in str(outcomes[3].error)


def test_an_unknown_codec_is_told_for_each_packet(bench):
    for number in range(3):
        bench.video.put(Packet("mpeg4", b"x", number))
    assert told(bench.take(3)) == ["encoding"] * 3
