# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video file as a source of frames."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from dcfm_ros.sources.errors import SourceError, to_stderr
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.listing import is_other_picture
from dcfm_ros.sources.source_kinds import SourceRequest
from dcfm_ros.sources.video_picture import hdr, picture
from dcfm_ros.stamps import NS_PER_S

try:
    import av
except ImportError:  # only video files need it
    av = None  # type: ignore[assignment]

_STEP = 60  # frames; for longer jumps, seeking is tried before decoding everything between
_TRIED = 30  # frames decoded at opening to compare their stamps with those that the file lists
# frames from the codec's last keyframe to the end, decoded at opening to find where a truncated file ends
_LONGEST = 300
_SLACK_S = 0.5  # longest display time of the last frame
_REWRITE = "convert it: ffmpeg -i INPUT OUTPUT.mp4"


def recognises(name: str) -> bool:
    """Return whether this source opens the name: any name that no other source opens; used by the table of
    sources."""
    return True


def open_video(request: SourceRequest) -> VideoFile:
    path = Path(request.name)
    if is_other_picture(path):
        raise SourceError(f"{path} is a picture in an unsupported format; save it as JPEG or PNG")
    return VideoFile(path, request.rate_hz, request.tell)


class _Listed(NamedTuple):
    """The frames that a file lists, in storage order; it may list more than it contains."""

    times: list[int | None]  # presentation time stamps
    keys: list[int | None]  # those of the codec's keyframes
    in_order: bool  # decoding time stamps never decrease
    expected: int  # number of frames that it should have
    is_cut: bool  # the file itself is marked as incomplete

    @property
    def tell_all(self) -> bool:
        """Whether the stamps identify each frame, and their order."""
        return (
            self.in_order
            and bool(self.times)
            and None not in self.times
            and len(set(self.times)) == len(self.times)
        )


class VideoFile:
    """The frames of a video file, decoded with PyAV, as a player shows them.

    Opening reads the file once, without decoding, to learn the time stamp of every frame. Sequential reading
    decodes each frame once; a step back or a long jump seeks to the preceding keyframe of the codec. If
    stamps are missing, repeated, or differ from those of the decoded frames, opening decodes all frames to
    count them; without valid stamps of the decoded frames they are assumed to be evenly spaced, and a step
    back decodes from the start.

    path: a file in any format that FFmpeg supports; of a damaged file, everything that can be decoded is used
    rate_hz: frames per second instead of the file's own. By default `stamp_ns` follows the file's time
        stamps, which also supports variable frame rates
    tell: called with notes for the user, for example on missing frames
    """

    class_table = None

    def __init__(
        self, path: str | Path, rate_hz: float | None = None, tell: Callable[[str], None] = to_stderr
    ):
        if av is None:
            raise SourceError(f"{path} needs PyAV to be read as a video; pip install av")
        self.path, self._tell = Path(path), tell
        self._container: Any = None  # PyAV's; its stubs know less than it does
        self._counted = False  # frames are identified by number, not by stamp
        self._errors, self._mended = 0, False  # decoding errors; whether concealed frames have been reported
        self._open()
        self._shown: Any = None  # (stamp or number, frame) that was decoded last
        self._index = 0
        self._tell_streams()
        self._times = self._find_times()
        self.length, self._given_rate = len(self._times), rate_hz
        self.rate_hz = float(rate_hz or self._rate())
        self._open()  # back to the start
        self._restart(0)
        first = self.frame(0).image
        self.height, self.width = first.shape[:2]
        if self._shown is not None and (kind := hdr(self._shown[1])):
            tell(
                f"{path} is HDR video ({kind}), whose colours are used without tone mapping and so are paler "
                "than a player shows them; convert it to SDR for better masks"
            )

    def frame(self, index: int) -> VideoFrame:
        """Return frame number `index`: image (H, W, 3) uint8 RGB, upright and with square pixels, without
        label."""
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
                f"{self.path} is damaged: frame {index}, and perhaps more, is used as concealed by the "
                "decoder"
            )
        if self._given_rate or self._counted:
            stamp_s = index / self.rate_hz
        else:
            stamp_s = (time - self._times[0]) * self._stream.time_base  # an exact fraction
        return VideoFrame(index, round(stamp_s * NS_PER_S), picture(frame, self._aspect), None, is_cut=False)

    def _open(self):
        if self._container is not None:
            self._container.close()
        try:
            # Without "file:" FFmpeg takes the text before a colon for a protocol, as in 12:30:45.mp4.
            self._container = av.open(f"file:{self.path}")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(
                f"{self.path} cannot be read as a video: {reason}; it is empty, cut off, or of a kind that "
                "FFmpeg does not know"
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
            raise SourceError(f"{self.path} uses a codec that PyAV cannot decode; {_REWRITE}")
        self._aspect, self._others = self._stream.sample_aspect_ratio, len(streams) - 1

    def _tell_streams(self):
        if self._others:
            context = self._stream.codec_context
            self._tell(
                f"{self.path} has {self._others + 1} video streams; only number {self._stream.index}, of "
                f"{context.width}x{context.height}, is used"
            )

    def _find_times(self):
        """Return the presentation time stamps of all frames, ascending, in the stream's time base; frame
        numbers if the stamps are unusable."""
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
        if missing > 0 and (
            is_damaged or self._errors
        ):  # otherwise the codec has frames that are never displayed
            self._tell(
                f"{self.path} is damaged: {missing} of its {listed.expected} frames cannot be decoded and "
                f"are left out"
            )
        elif not self._counted:
            claimed_s, last_s = self._claimed_s(), float(times[-1] * self._stream.time_base)
            if claimed_s > last_s + _SLACK_S:
                self._tell(
                    f"{self.path} says that it lasts {claimed_s:.1f} s, but its frames end at {last_s:.1f} "
                    "s: it was cut off"
                )
        return times

    def _claimed_s(self):
        """Return the end of the video in seconds as declared by Matroska files; 0 if the file declares none
        for the video alone."""
        if match := re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", self._stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = match.groups()
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        return 0.0

    def _list(self):
        times, keys, in_order, latest, discarded, is_cut = [], [], True, None, 0, False
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:  # marks the end of the file
                    continue
                is_cut |= packet.is_corrupt
                if packet.dts is not None:
                    in_order &= latest is None or packet.dts >= latest
                    latest = packet.dts
                if packet.is_discard:  # needed to decode others, but before the start in the edit list
                    discarded += 1
                    continue
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except av.error.FFmpegError:  # the file is used up to here
            is_cut = True
        claimed = self._stream.frames - discarded
        return _Listed(times, keys, in_order, max(claimed, len(times)), is_cut or claimed > len(times))

    def _checked(self, listed):
        """Return the stamps in order, without frames at the ends that cannot be decoded; None if frames in
        between have other stamps."""
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
        """Return the stamps of all decoded frames, or their numbers."""
        self._open()
        decoded = [(time, frame.is_corrupt) for time, frame in self._decode()]
        while decoded and decoded[-1][1]:
            decoded.pop()
        times = [time for time, _ in decoded if time is not None]
        self._counted = len(times) < len(decoded) or any(later <= time for time, later in pairwise(times))
        return list(range(len(decoded))) if self._counted else times

    def _rate(self):
        """Return the frames per second: the file's value, unless its stamps contradict it."""
        average, guessed = self._stream.average_rate, self._stream.guessed_rate
        # for raw streams the average is a default value
        rate = guessed or average if self._counted else average or guessed
        if not self._counted and self.length > 1:
            measured = (self.length - 1) / ((self._times[-1] - self._times[0]) * self._stream.time_base)
            if (
                not rate or not measured / 2 < rate < measured * 2
            ):  # recorders of live streams write a clock rate
                return measured
        if not rate:
            raise SourceError(
                f"{self.path} does not contain a frame rate; convert it with the right "
                "number: ffmpeg -r 25 -i INPUT OUTPUT.mp4"
            )
        return rate

    def _rewind(self, index):
        """Seek so that decoding continues at the codec's keyframe at or before frame `index`."""
        # Without an index, a seek may land late or between keyframes: try from further back, finally from the
        # start.
        for start in () if self._counted else (index, max(0, index - _STEP)):
            try:
                self._container.seek(self._times[start], stream=self._stream, backward=True)
            except av.error.FFmpegError:  # some formats do not support seeking
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
        """Yield frames from here on, each with its stamp or number, skipping those that cannot be decoded."""
        frames = self._decoded_packets()
        return enumerate(frames) if self._counted else ((frame.pts, frame) for frame in frames)

    def _decoded_packets(self):
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.error.FFmpegError:
                    self._errors += 1
        except av.error.FFmpegError:  # the file is truncated: the decoder still has the last frames
            self._errors += 1
            yield from self._stream.codec_context.decode(None)
