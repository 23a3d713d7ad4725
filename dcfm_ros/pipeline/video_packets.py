# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of video packets: `foxglove_msgs/CompressedVideo` and `ffmpeg_image_transport_msgs/FFMPEGPacket`.

The pictures of a video depend on previous ones, so all packets of a topic go through one decoder, in order.
Loss, damage or seeking costs the pictures up to the next key picture, and never yields a wrong picture if the
codec or the numbering reveals the loss. Messages are accessed by their fields, whichever library created
them, so recordings need no ROS.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from dcfm_ros.pipeline.h264_frame_num import FrameNumbers
from dcfm_ros.pipeline.video_bits import CODECS, START_CODE, Contents, VideoError, parse_packet
from dcfm_ros.stamps import NS_PER_S, stamp_ns
from dcfm_ros.video_colours import BT601, to_rgb

if TYPE_CHECKING:
    import av

_MOST_PIXELS = 2**25  # 8K; prevents a forged size from allocating gigabytes
_REORDERED = 16  # packets that may wait for their picture in a stream with B-frames: the maximum of H.264
_REORDERED_NS = NS_PER_S  # stamps may run back by this much in a stream with B-frames
_NAMES = {
    codec: re.compile(names)
    for codec, names in {  # patterns of encoder and codec names
        "h264": "264|avc",
        "h265": "265|hevc|kvazaar",
        "av1": "av1",
        "vp9": "vp9",
    }.items()
}
# input encodings that are not colours: depth, thermal, Bayer mosaic
_NO_COLOURS = re.compile(r"(?!8uc3)((8|16|32|64)[usf]c\d*|bayer_\w+)")


@cache
def _pyav() -> Any:
    """Return PyAV, or None without it. Imported with the first packet: it takes 18 MB."""
    try:
        import av
    except ImportError:
        return None
    return av


class Packet(NamedTuple):
    """One message of a video topic."""

    format: str  # "h264", or the name of an encoder: "hevc_nvenc", "libx264;yuv420p;bgr8"
    data: bytes
    stamp_ns: int
    pts: int | None = None  # number of the picture, if the message has one
    unmarked: int | None = None  # colour matrix if the stream does not name it, see `to_rgb`
    context: Any = None  # any object of the caller's, returned with the outcome


class Outcome(NamedTuple):
    """Result of a packet: a frame, or an error."""

    packet: Packet
    frame: av.VideoFrame | None
    error: VideoError | None

    def rgb(self) -> np.ndarray:
        """Return the picture (H, W, 3) uint8 RGB. Raises the error if there is none."""
        if self.error is not None:
            raise self.error
        assert self.frame is not None
        return to_rgb(self.frame, unmarked=self.packet.unmarked)


def from_compressed_video(message: Any, context: Any = None) -> Packet:
    """Return the packet of a `foxglove_msgs/CompressedVideo`; unmarked colours are interpreted as by
    players."""
    return Packet(message.format, bytes(message.data), stamp_ns(message.timestamp), context=context)


def from_ffmpeg_packet(message: Any, context: Any = None) -> Packet:
    """Return the packet of an `ffmpeg_image_transport_msgs/FFMPEGPacket`; unmarked colours are BT.601 at any
    size, as produced by its encoder."""
    return Packet(
        message.encoding, bytes(message.data), stamp_ns(message.header.stamp), message.pts, BT601, context
    )


def codec_of(text: str) -> str:
    """Return the key of CODECS for a message's `format` or `encoding`. Raises VideoError (kind
    "encoding")."""
    # the encoder and, in new versions, its input format
    parts = [part.strip() for part in text.lower().split(";")]
    codec = next((codec for codec, names in _NAMES.items() if names.search(parts[0])), None)
    if codec is None:
        raise VideoError(
            "encoding", f"video of format {text[:40]!r} is not read: publish {', '.join(CODECS)}, or images"
        )
    if _pyav() is None:
        raise VideoError(
            "encoding", f"video of format {text[:40]!r} needs PyAV to be decoded: pip install av"
        )
    if held := next(filter(_NO_COLOURS.fullmatch, parts[1:]), None):
        raise VideoError(
            "encoding",
            f"video of format {text[:40]!r} holds {held} and no colours: publish the camera's colour images",
        )
    return codec


class VideoDecoder:
    """Decoder of one topic; for one thread at a time.

    Every packet has exactly one outcome. In a stream without B-frames `decode` returns its packet's outcome
    immediately. With B-frames pictures are returned in display order, each with its own packet, up to 16
    packets later; those before a loss, a jump or a change of codec come before it. Decoding starts, and
    resumes after a loss, at a key picture whose parameter sets are known. Losses are detected by `pts`, if it
    counts pictures, by H.264's picture numbers, by the decoder, or by the caller.
    `counts`: pictures, and how often decoding was interrupted: lost, damaged, jumped (to another time or
    codec),
        ended.
    """

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self._codec = ""
        self._context: av.VideoCodecContext | None = None  # None: waiting for a key picture
        self._since = "the stream was joined between two of them"
        self._sets: dict[str, bytes] = {}  # the newest parameter sets
        self._numbers = FrameNumbers()
        # by sequence number, which passes through the decoder as time stamp
        self._in_flight: dict[int, Packet] = {}
        self._fed = 0
        self._newest_ns: int | None = None
        self._pts: int | None = None
        self._pts_counts = False  # True once it has increased by one

    def decode(self, packet: Packet) -> list[Outcome]:
        """Decode the next packet of the topic."""
        outcomes: list[Outcome] = []
        try:
            codec = codec_of(packet.format)
            if codec != self._codec:
                if self._codec:
                    outcomes += self._stop("jumped", f"the video became {CODECS[codec].name}")
                self._codec, self._sets = codec, {}
            contents = parse_packet(codec, packet.data)
            self._take_sets(contents)
            if not contents.has_picture:
                raise VideoError(
                    "picture",
                    f"a video packet of {len(packet.data)} bytes contains no picture, only parameters: "
                    "publish them in one message with the picture that follows",
                )
            if broken := self._break(packet, contents):
                outcomes += self._stop(*broken)
            elif (
                contents.is_clean and self._in_flight
            ):  # earlier pictures are returned now, without waiting for later ones
                outcomes += self._drain()
            if self._context is None:
                self._begin(contents)
            outcomes += self._feed(packet, contents)
        except VideoError as error:
            if error.kind in ("encoding", "packet"):
                outcomes += self._stop("damaged", "a packet could not be decoded")
            outcomes.append(Outcome(packet, None, error))
        return self._counted(outcomes)

    def lose(self) -> list[Outcome]:
        """Note that the transport has lost packets at this point."""
        return self._counted(self._stop("lost", "packets were lost in transport"))

    def flush(self) -> list[Outcome]:
        """End the stream and return the remaining outcomes."""
        return self._counted(self._stop("ended", "the stream was restarted"))

    def _counted(self, outcomes: list[Outcome]) -> list[Outcome]:
        self.counts["pictures"] += sum(outcome.error is None for outcome in outcomes)
        return outcomes

    def _take_sets(self, contents: Contents) -> None:
        self._sets |= contents.sets
        if self._codec == "h264" and "SPS" in contents.sets:
            self._numbers.parameters(contents.sets["SPS"][len(START_CODE) + 1 :])

    def _break(self, packet: Packet, contents: Contents) -> tuple[str, str] | None:
        """Return why this packet does not follow the previous one, as a key of `counts` and in words; None if
        it does."""
        reorders = self._context is not None and self._context.has_b_frames
        allowed_ns = _REORDERED_NS if reorders else 0
        has_jumped = self._newest_ns is not None and packet.stamp_ns < self._newest_ns - allowed_ns
        follows = self._pts is not None and packet.pts == self._pts + 1
        has_gap = self._pts_counts and not reorders and not follows
        misses_pictures = self._codec == "h264" and self._numbers.picture(contents.picture)
        before, self._pts, self._pts_counts = (
            self._pts,
            packet.pts,
            follows or (self._pts_counts and reorders),
        )
        self._newest_ns = (
            packet.stamp_ns
            if has_jumped or self._newest_ns is None
            else max(self._newest_ns, packet.stamp_ns)
        )
        if self._context is None or (contents.is_key and not reorders):
            return None  # does not depend on earlier packets
        if has_jumped:
            return "jumped", "the stamps jumped back"
        if has_gap:
            return "lost", f"packets were lost (pts {packet.pts} follows {before})"
        return ("lost", "pictures were lost (their numbers have a gap)") if misses_pictures else None

    def _begin(self, contents: Contents) -> None:
        """Open a decoder for the key picture in a packet. Raises VideoError if there is none, or if its
        parameter sets are missing."""
        codec = CODECS[self._codec]
        if not contents.is_key:
            raise VideoError(
                "key",
                f"a video packet waits for {codec.key} of {codec.name}, since {self._since}: let the encoder "
                "make them more often (gop_size) to resume sooner",
            )
        if missing := [name for name in codec.sets if name not in self._sets]:
            raise VideoError(
                "parameters",
                f"{codec.key} of {codec.name} arrived without {' and '.join(missing)}: let the encoder "
                "repeat the parameter sets with each of them",
            )
        context = cast("av.VideoCodecContext", _pyav().CodecContext.create(codec.decoder, "r"))
        context.thread_count = 1
        context.flags |= _pyav().codec.context.Flags.low_delay
        context.options = {"max_pixels": str(_MOST_PIXELS)}
        self._context = context

    def _feed(self, packet: Packet, contents: Contents) -> list[Outcome]:
        # A key picture is preceded by the parameter sets of earlier messages: this decoder may not know them.
        given = (
            [name for name in CODECS[self._codec].sets if name not in contents.sets]
            if contents.is_key
            else []
        )
        unit = _pyav().Packet(
            b"".join(self._sets[name] for name in given if name in self._sets) + packet.data
        )
        unit.pts = self._fed
        self._in_flight[self._fed] = packet
        self._fed += 1
        context = self._context
        assert context is not None  # `_feed` comes after `_start`
        try:
            frames = context.decode(unit)
        except _pyav().error.FFmpegError as error:
            del self._in_flight[unit.pts]
            raise self._damaged(packet, str(error.strerror or error)) from error
        outcomes = self._outcomes(frames)
        if any(outcome.error for outcome in outcomes):
            outcomes += [self._following(late) for late in self._in_flight.values()]
            self._in_flight.clear()
            return outcomes + self._stop("damaged", "a picture could not be decoded")
        if not context.has_b_frames and self._in_flight:
            self._in_flight.clear()
            raise self._damaged(packet, "it yields no picture")
        while len(self._in_flight) > _REORDERED:
            outcomes.append(self._without_picture(self._in_flight.pop(min(self._in_flight))))
        return outcomes

    def _outcomes(self, frames: list[av.VideoFrame]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for frame in frames:
            packet = None if frame.pts is None else self._in_flight.pop(frame.pts, None)
            if packet is None:  # already returned without a picture
                continue
            if outcomes and outcomes[-1].error is not None:
                outcomes.append(self._following(packet))
            elif frame.is_corrupt:
                outcomes.append(
                    Outcome(packet, None, self._damaged(packet, "the decoder had to conceal a part of it"))
                )
            else:
                outcomes.append(Outcome(packet, frame, None))
        return outcomes

    def _stop(self, what: str, since: str) -> list[Outcome]:
        """Close the decoder and return its remaining outcomes."""
        self._since = since
        self._numbers.restart()
        if self._context is None:
            return []
        self.counts[what] += 1
        self._pts_counts = False
        return self._drain()

    def _drain(self) -> list[Outcome]:
        assert self._context is not None
        try:
            outcomes = self._outcomes(self._context.decode(None))
        except _pyav().error.FFmpegError:  # the remaining pictures are lost as well
            outcomes = []
        outcomes += [self._without_picture(packet) for packet in self._in_flight.values()]
        self._in_flight.clear()
        self._context = None
        return outcomes

    def _following(self, packet: Packet) -> Outcome:
        return Outcome(packet, None, self._damaged(packet, "a picture before it is damaged"))

    @staticmethod
    def _damaged(packet: Packet, reason: str) -> VideoError:
        return VideoError(
            "packet",
            f"a video packet of {len(packet.data)} bytes cannot be decoded ({reason[:100]}): it is damaged "
            "or follows a loss; look for a lossy network or a recorder that drops messages if it happens now "
            "and then",
        )

    @staticmethod
    def _without_picture(packet: Packet) -> Outcome:
        return Outcome(
            packet,
            None,
            VideoError(
                "picture",
                f"a video packet of {len(packet.data)} bytes brought no picture: what it builds on is "
                f"missing, or it is half of one",
            ),
        )
