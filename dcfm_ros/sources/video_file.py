# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video file as a source of frames."""
from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.frame import VideoFrame

try:
    import av
except ImportError:   # only video files need it
    av = None

_STEP = 60   # frames; further ahead than this, seeking is tried before decoding everything between


class VideoFile:
    """The frames of a video file, decoded with PyAV.

    Opening reads the file once, without decoding, to learn every frame's time stamp. Reading in order decodes each
    frame once; a step back or a long jump seeks to the keyframe of the codec before it.

    path: a file in any format that FFmpeg knows
    rate_hz: frames per second instead of the file's own. Without it `stamp_ns` follows the file's time stamps,
        which also serves videos of varying rate
    """

    class_table = None

    def __init__(self, path: str | Path, rate_hz: float | None = None):
        if av is None:
            raise SourceError(f"{path} needs PyAV to be read as a video; pip install av")
        self.path = Path(path)
        self._container = None
        self._open()
        self._times = self._read_times()
        self.length = len(self._times)
        self._given_rate = rate_hz
        self.rate_hz = float(rate_hz or self._stream.average_rate or self._stream.guessed_rate or 0)
        if not self.rate_hz:
            raise SourceError(f"{path} does not say how many frames per second it has; give rate_hz")
        self._open()   # back to the start
        self._restart(0)
        self.height, self.width = self.frame(0).image.shape[:2]

    def frame(self, index: int) -> VideoFrame:
        """Frame number `index`: image (H, W, 3) uint8 RGB, upright, without label."""
        if not 0 <= index < self.length:
            raise SourceError(f"there is no frame {index}; the video has {self.length}, counted from 0")
        wanted = self._times[index]
        if self._shown is None or wanted < self._shown.pts or index > self._index + _STEP:
            self._rewind(index)
        while self._shown is None or self._shown.pts < wanted:
            self._shown = next(self._decoded, None)
            if self._shown is None:
                remedy = f"repair it or give length={index}" if index else "repair or convert it"
                raise SourceError(f"{self.path} is damaged before frame {index} of {self.length}; {remedy}")
        self._index = index
        if self._given_rate:
            stamp_s = index / self.rate_hz
        else:
            stamp_s = (wanted - self._times[0]) * self._stream.time_base   # an exact fraction
        return VideoFrame(index, round(stamp_s * 10**9), self._pixels(), None, is_cut=False)

    def _open(self):
        if self._container is not None:
            self._container.close()
        try:
            self._container = av.open(str(self.path))
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(f"{self.path} cannot be read as a video: {error.strerror or error}") from error
        if not self._container.streams.video:
            raise SourceError(f"{self.path} has no video stream; give a file with pictures")
        self._stream = self._container.streams.video[0]

    def _read_times(self):
        """Presentation time stamps of all frames, ascending, in the stream's time base."""
        times = []
        with suppress(av.error.FFmpegError):   # a file that is damaged further on is used up to there
            for packet in self._container.demux(self._stream):
                if packet.size and not packet.is_discard:   # an empty packet announces the end of the file
                    times.append(packet.pts)
        if None in times:
            raise SourceError(f"{self.path} has frames without a time stamp; "
                              "convert it, for example: ffmpeg -i INPUT OUTPUT.mp4")
        if not times:
            raise SourceError(f"{self.path} holds no frames; it is empty or damaged")
        return sorted(times)

    def _rewind(self, index):
        """Let decoding go on at the codec's own keyframe at or before frame `index`."""
        # Formats without an index land late or between keyframes: then from further back, at last from the start.
        for start in (index, max(0, index - _STEP)):
            try:
                self._container.seek(self._times[start], stream=self._stream, backward=True)
            except av.error.FFmpegError:   # some formats cannot be sought in
                break
            self._restart(index)
            if self._shown is not None and self._shown.key_frame and self._shown.pts <= self._times[index]:
                return
        self._open()
        self._restart(index)

    def _restart(self, index):
        self._decoded, self._index = self._decode(), index
        self._shown = next(self._decoded, None)

    def _decode(self):
        with suppress(av.error.FFmpegError):   # damaged from here on: the caller says at which frame
            for frame in self._container.decode(self._stream):
                if frame.pts is not None:
                    yield frame

    def _pixels(self):
        image = self._shown.to_ndarray(format="rgb24")
        # Phones store the picture as the sensor lies and a rotation, in degrees counterclockwise, beside it.
        turns = round(self._shown.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
