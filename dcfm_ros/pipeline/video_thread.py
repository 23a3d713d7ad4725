# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoder thread of a live camera's video: decodes every packet in order, whether or not its picture becomes
a mask."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from dcfm_ros.pipeline.frames import describe
from dcfm_ros.pipeline.keyframe import join_timed_out
from dcfm_ros.pipeline.video_bits import VideoError, parse_packet
from dcfm_ros.pipeline.video_packets import Outcome, Packet, VideoDecoder, codec_of

WAITING = 60  # default length of the packet queue; two seconds at 30 Hz
_log = logging.getLogger(__name__)


class VideoThread:
    """Decodes a camera's video on its own thread. `put` and `lose` are thread-safe and never block; `deliver`
    is called with each packet's outcome on the decoder thread.

    At most `waiting` packets are queued. If another one arrives, the decoder has fallen behind: it continues
    at the last key picture in the queue or, without one, at the next that arrives, and the packets before are
    dropped, each with an outcome of kind "overrun". `stop` discards queued packets without an outcome.
    """

    def __init__(self, deliver: Callable[[Outcome], None], name: str = "", waiting: int = WAITING):
        self._deliver, self._limit = deliver, waiting
        self._decoder = VideoDecoder()
        self._packets: deque[Packet] = deque()
        self._dropped: list[Packet] = []  # before the queued packets, without their data
        self._is_lost = self._closed = False  # is_lost: packets were lost before the queued ones
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, name=f"dcfm-video-{name}" if name else "dcfm-video", daemon=True
        )
        self._thread.start()

    def put(self, packet: Packet) -> None:
        with self._changed:
            if self._closed:
                return
            if len(self._packets) >= self._limit:
                self._make_room()
            self._packets.append(packet)
            self._changed.notify()

    def lose(self) -> None:
        """Note that the transport has lost packets. The queued ones may be from before or after the loss, so
        they are dropped, too, up to the next key picture."""
        with self._changed:
            self._is_lost = True
            self._changed.notify()

    def stop(self) -> None:
        """Join the thread; a decoder that does not return is abandoned and delivers nothing more."""
        with self._changed:
            self._closed = True
            self._packets.clear()
            self._changed.notify()
        join_timed_out(self._thread)

    def _make_room(self) -> None:
        keys = [at for at, packet in enumerate(self._packets) if at and _is_key(packet)]
        for _ in range(keys[-1] if keys else len(self._packets)):
            self._dropped.append(self._packets.popleft()._replace(data=b""))
        self._is_lost = True

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._packets or self._dropped or self._is_lost):
                    self._changed.wait()
                if self._closed:
                    return
                dropped, self._dropped, is_lost, self._is_lost = self._dropped, [], self._is_lost, False
                packet = self._packets.popleft() if self._packets else None
            outcomes = self._decoder.lose() if is_lost else []
            outcomes += [
                Outcome(
                    one,
                    None,
                    VideoError(
                        "overrun",
                        f"{len(dropped)} video packets were dropped, as decoding fell {self._limit} packets "
                        "behind: lower the camera's rate or size, or what else runs",
                    ),
                )
                for one in dropped
            ]
            outcomes += self._decoded(packet) if packet is not None else []
            for outcome in outcomes:
                self._hand_over(outcome)

    def _decoded(self, packet: Packet) -> list[Outcome]:
        try:
            return self._decoder.decode(packet)
        except Exception as error:  # one bad packet must not end the camera's video
            _log.exception("a video packet of %d bytes", len(packet.data))
            self._decoder = VideoDecoder()
            text = f"a video packet of {len(packet.data)} bytes cannot be decoded: {describe(error)}"
            return [Outcome(packet, None, VideoError("packet", text))]

    def _hand_over(self, outcome: Outcome) -> None:
        if self._closed:
            return
        try:
            self._deliver(outcome)
        except Exception:  # neither must a failing callback
            _log.exception("a picture of the stamp %d", outcome.packet.stamp_ns)


def _is_key(packet: Packet) -> bool:
    try:
        return parse_packet(codec_of(packet.format), packet.data).is_key
    except VideoError:
        return False
