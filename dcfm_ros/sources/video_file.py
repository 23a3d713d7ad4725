# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video file as a source of frames."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from dcfm_ros.sources.errors import SourceError, to_stderr
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.video_picture import hdr, picture

try:
    import av
except ImportError:  # only video files need it
    av = None

_STEP = 60  # frames; further ahead than this, seeking is tried before decoding everything between
_TRIED = 30  # frames that are decoded at opening, to see whether their stamps are those that the file lists
# frames from the codec's last keyframe to the end that are decoded at opening, to see where a cut file ends
_LONGEST = 300
_SLACK_S = 0.5  # that the last frame may be shown
_REWRITE = "write it anew: ffmpeg -i INPUT OUTPUT.mp4"


class _Listed(NamedTuple):
    """The frames that a file lists, in the order in which they are stored; its own claim may exceed them."""

    times: list[int | None]  # presentation time stamps
    keys: list[int | None]  # those of the codec's keyframes
    in_order: bool  # do decoding time stamps never run backwards?
    expected: int  # frames that it should have
    is_cut: bool  # does it say itself that it is not whole?

    @property
    def tell_all(self) -> bool:
        """Do the stamps tell each frame from the others, and their order?"""
        return (
            self.in_order
            and bool(self.times)
            and None not in self.times
            and len(set(self.times)) == len(self.times)
        )


class VideoFile:
    """The frames of a video file, decoded with PyAV, as a player shows them.

    Opening reads the file once, without decoding, to learn every frame's time stamp. Reading in order decodes
    each frame once; a step back or a long jump seeks to the keyframe of the codec before it. Where stamps are
    missing, repeated or not those of the decoded frames, opening decodes all frames to count them; without
    good stamps of the decoded ones they are taken to be evenly spaced, and a step back decodes from the
    start.

    path: a file in any format that FFmpeg knows; of a damaged one what can be decoded is used
    rate_hz: frames per second instead of the file's own. Without it `stamp_ns` follows the file's time
        stamps, which also serves videos of varying rate
    tell: is called with each sentence on what a user should know, such as frames that are missing
    """

    class_table = None

    def __init__(
        self, path: str | Path, rate_hz: float | None = None, tell: Callable[[str], None] = to_stderr
    ):
        if av is None:
            raise SourceError(f"{path} needs PyAV to be read as a video; pip install av")
        self.path, self._tell = Path(path), tell
        self._container = None
        self._counted = False  # frames are known by their number, not by their stamp
        self._errors, self._mended = 0, False  # of decoding; is it told that the decoder mends frames?
        self._open()
        self._tell_streams()
        self._times = self._find_times()
        self.length, self._given_rate = len(self._times), rate_hz
        self.rate_hz = float(rate_hz or self._rate())
        self._open()  # back to the start
        self._restart(0)
        first = self.frame(0).image
        self.height, self.width = first.shape[:2]
        if kind := hdr(self._shown[1]):
            tell(
                f"{path} is HDR video ({kind}), whose colours are used without tone mapping and so are paler "
                f"than a player "
                "shows them; convert it to SDR for better masks"
            )

    def frame(self, index: int) -> VideoFrame:
        """Frame number `index`: image (H, W, 3) uint8 RGB, upright and of square pixels, without label."""
        if not 0 <= index < self.length:
            raise SourceError(f"there is no frame {index}; the video has {self.length}, counted from 0")
        wanted = self._times[index]
        if self._shown is None or wanted < self._shown[0] or index > self._index + _STEP:
            self._rewind(index)
        while self._shown is not None and self._shown[0] < wanted:
            self._shown = next(self._decoded, None)
        if self._shown is None or self._shown[0] != wanted:
            raise SourceError(
                f"{self.path} is damaged: frame {index} of {self.length} cannot be decoded; {_REWRITE}"
            )
        self._index = index
        time, frame = self._shown
        if frame.is_corrupt and not self._mended:
            self._mended = True
            self._tell(
                f"{self.path} is damaged: frame {index}, and perhaps more, is used as the decoder mends it"
            )
        if self._given_rate or self._counted:
            stamp_s = index / self.rate_hz
        else:
            stamp_s = (time - self._times[0]) * self._stream.time_base  # an exact fraction
        return VideoFrame(index, round(stamp_s * 10**9), picture(frame, self._aspect), None, is_cut=False)

    def _open(self):
        if self._container is not None:
            self._container.close()
        try:
            # Without "file:" FFmpeg takes what stands before a colon for a protocol, as in 12:30:45.mp4.
            self._container = av.open(f"file:{self.path}")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(
                f"{self.path} cannot be read as a video: {reason}; it is empty, cut off, or of a kind that "
                f"FFmpeg "
                "does not know"
            ) from error
        streams = [
            one
            for one in self._container.streams.video
            if not one.disposition & av.stream.Disposition.attached_pic
        ]
        if not streams:
            what = "has only a cover picture" if self._container.streams.video else "has no video stream"
            raise SourceError(f"{self.path} {what}; give a file with moving pictures")
        best = self._container.streams.best("video")
        self._stream = best if best in streams else streams[0]
        if self._stream.codec_context is None:
            raise SourceError(f"{self.path} is coded in a way that PyAV cannot decode; {_REWRITE}")
        self._aspect, self._others = self._stream.sample_aspect_ratio, len(streams) - 1

    def _tell_streams(self):
        if self._others:
            context = self._stream.codec_context
            self._tell(
                f"{self.path} has {self._others + 1} video streams; only number {self._stream.index}, of "
                f"{context.width}x{context.height}, is used"
            )

    def _find_times(self):
        """Presentation time stamps of all frames, ascending, in the stream's time base; their numbers where
        those do not tell."""
        listed = self._list()
        times = self._checked(listed) if listed.tell_all else None
        is_damaged = listed.is_cut or (times is not None and len(times) < len(listed.times))
        if times is None:
            times = self._count()
        if not times:
            raise SourceError(
                f"{self.path} has no frame that can be decoded; it is empty, damaged or encrypted"
            )
        missing = listed.expected - len(times)
        if missing > 0 and (is_damaged or self._errors):  # else the codec has frames that are never shown
            self._tell(
                f"{self.path} is damaged: {missing} of its {listed.expected} frames cannot be decoded and "
                f"are left out"
            )
        elif not self._counted:
            claimed_s, last_s = self._claimed_s(), float(times[-1] * self._stream.time_base)
            if claimed_s > last_s + _SLACK_S:
                self._tell(
                    f"{self.path} says that it lasts {claimed_s:.1f} s, but its frames end at {last_s:.1f} "
                    f"s: it was cut "
                    "off"
                )
        return times

    def _claimed_s(self):
        """When the video ends, in seconds, as Matroska files say; 0 where the file says nothing of the video
        alone."""
        if match := re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", self._stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = match.groups()
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        return 0.0

    def _list(self):
        times, keys, in_order, latest, discarded, is_cut = [], [], True, None, 0, False
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:  # it announces the end of the file
                    continue
                is_cut |= packet.is_corrupt
                if packet.dts is not None:
                    in_order &= latest is None or packet.dts >= latest
                    latest = packet.dts
                if (
                    packet.is_discard
                ):  # needed to decode others, but before the beginning that an edit list gives
                    discarded += 1
                    continue
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except av.error.FFmpegError:  # it is used up to there
            is_cut = True
        claimed = self._stream.frames - discarded
        return _Listed(times, keys, in_order, max(claimed, len(times)), is_cut or claimed > len(times))

    def _checked(self, listed):
        """The stamps in order, but for frames at the ends that cannot be decoded; None where frames in
        between have others."""
        times = sorted(listed.times)
        self._open()
        tried = [time for time, _ in islice(self._decode(), _TRIED)]
        times = times[bisect_left(times, tried[0]) :] if tried and tried[0] is not None else []
        if not times or tried != times[: len(tried)]:
            return None
        key = bisect_left(times, max(listed.keys, default=times[0]))
        if len(times) - key > _LONGEST:
            return times
        self._times = times
        self._rewind(key)
        decoded = {}
        while self._shown is not None:
            decoded[self._shown[0]] = self._shown[1].is_corrupt
            self._shown = next(self._decoded, None)
        while len(times) > key and decoded.get(times[-1], True):
            times.pop()
        return times if all(time in decoded for time in times[key:]) else None

    def _count(self):
        """The stamps of all decoded frames, or their numbers."""
        self._open()
        decoded = [(time, frame.is_corrupt) for time, frame in self._decode()]
        while decoded and decoded[-1][1]:
            decoded.pop()
        times = [time for time, _ in decoded]
        self._counted = None in times or any(later <= time for time, later in pairwise(times))
        return list(range(len(times))) if self._counted else times

    def _rate(self):
        """Frames per second: what the file says, where its stamps do not belie it."""
        average, guessed = self._stream.average_rate, self._stream.guessed_rate
        rate = (
            guessed or average if self._counted else average or guessed
        )  # of raw streams the average is a default
        if not self._counted and self.length > 1:
            measured = (self.length - 1) / ((self._times[-1] - self._times[0]) * self._stream.time_base)
            if (
                not rate or not measured / 2 < rate < measured * 2
            ):  # recorders of live streams give a clock's rate
                return measured
        if not rate:
            raise SourceError(
                f"{self.path} does not say how many frames per second it has; write it anew with the right "
                "number: ffmpeg -r 25 -i INPUT OUTPUT.mp4"
            )
        return rate

    def _rewind(self, index):
        """Let decoding go on at the codec's own keyframe at or before frame `index`."""
        # Formats without an index land late or between keyframes: then from further back, at last from the
        # start.
        for start in () if self._counted else (index, max(0, index - _STEP)):
            try:
                self._container.seek(self._times[start], stream=self._stream, backward=True)
            except av.error.FFmpegError:  # some formats cannot be sought in
                break
            self._restart(index)
            if self._shown is not None and self._shown[1].key_frame and self._shown[0] <= self._times[index]:
                return
        self._open()
        self._restart(index)

    def _restart(self, index):
        self._decoded, self._index = self._decode(), index
        self._shown = next(self._decoded, None)

    def _decode(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Frames from here on, each with its stamp or number. What cannot be decoded is left out."""
        frames = self._decoded_packets()
        return enumerate(frames) if self._counted else ((frame.pts, frame) for frame in frames)

    def _decoded_packets(self):
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.error.FFmpegError:
                    self._errors += 1
        except av.error.FFmpegError:  # the file breaks off: the decoder still has the last frames
            self._errors += 1
            yield from self._stream.codec_context.decode(None)
