# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos that a browser plays."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

try:
    import av
except ImportError:  # everything but writing videos works without it
    av = None  # type: ignore[assignment]

# Codec and its settings, best first: every browser plays H.264, some builds of FFmpeg can only write VP9.
_CODECS = (
    (
        "libx264",
        {"crf": "20", "preset": "veryfast", "g": "30"},
    ),  # g: frames from one that can be jumped to to the next
    ("libvpx-vp9", {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "6", "g": "30"}),
)
_BT709 = 1  # the number of this colour standard in H.264 and VP9 streams
_LIMITED_RANGE = 1


class VideoWriter:
    """Writes frames to an .mp4 file; use it in a `with` statement.

    path: ends in .mp4; its folder is made if needed and an existing file replaced
    width, height: of the frames, pixels; odd sizes are padded by one column or row, as the codec needs even
        ones
    rate_hz: frames per second
    """

    def __init__(self, path: str | Path, width: int, height: int, rate_hz: float):
        if av is None:
            raise RuntimeError(f"writing {path} needs PyAV; pip install av")
        self.path, self.width, self.height = Path(path), width, height
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"cannot write {path}; give a path ending in .mp4")
        if width < 1 or height < 1:
            raise ValueError(f"video size is {width}x{height}; give at least 1x1 pixel")
        if not (rate_hz > 0 and math.isfinite(rate_hz)):
            raise ValueError(f"rate_hz is {rate_hz}; give a number of frames per second above 0")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # faststart moves the index to the front, so that a browser can begin before it has the whole file.
        # A bare path such as "a: b.mp4" would be read as a protocol and an address.
        # Any: None once it is closed, and PyAV's types do not say which kind of stream a codec makes.
        self._container: Any = av.open(f"file:{self.path}", "w", options={"movflags": "+faststart"})
        self._stream = self._add_stream(rate_hz)
        self.frames = 0

    def add(self, rgb: np.ndarray) -> None:
        """Append a frame: (height, width, 3) uint8 RGB."""
        if self._container is None:
            raise RuntimeError(f"{self.path} is closed; add frames inside the with statement")
        if rgb.shape != (self.height, self.width, 3) or rgb.dtype != np.uint8:
            raise ValueError(
                f"frame has shape {rgb.shape} and type {rgb.dtype}; "
                f"give ({self.height}, {self.width}, 3) uint8 RGB"
            )
        if self.width % 2 or self.height % 2:
            rgb = cv2.copyMakeBorder(rgb, 0, self.height % 2, 0, self.width % 2, cv2.BORDER_REPLICATE)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
        frame.pts = self.frames
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the file; without any frame it is removed. May be called twice."""
        if self._container is None:
            return
        container, self._container = self._container, None
        if self.frames:
            container.mux(self._stream.encode(None))
        container.close()
        if not self.frames:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.close()
        if kind is None and not self.frames:
            raise RuntimeError(f"{self.path} was not written: no frame was added")

    def _add_stream(self, rate_hz):
        rate = Fraction(rate_hz).limit_denominator(1001)  # exact for whole rates and for 30000/1001
        names = [name for name, _ in _CODECS]
        for name, options in _CODECS:
            if name in av.codecs_available:
                stream = self._container.add_stream(name, rate=rate, options=options)
                break
        else:
            self._container.close()
            self.path.unlink(missing_ok=True)
            raise RuntimeError(f"this PyAV has none of the encoders {', '.join(names)}; pip install av")
        stream.width, stream.height = self.width + self.width % 2, self.height + self.height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / rate
        # Unmarked videos are shown in one of two colour standards, depending on their size and on the player.
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        return stream
