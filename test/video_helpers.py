# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small video files whose frames say their number."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

WIDTH, HEIGHT, FRAMES = 64, 48, 150


def picture(number):
    """A frame that says its number: 8 bars, white for the bits of `number` that are set; red on the left
    edge."""
    bits = [number >> k & 1 for k in range(8)]
    image = np.repeat(np.repeat(np.array([bits], np.uint8) * 255, WIDTH // 8, 1), HEIGHT, 0)
    image = np.stack([image] * 3, -1)
    image[:8] = (230, 20, 20)
    return image


def number_in(image):
    bars = image[HEIGHT - 8, WIDTH // 16 :: WIDTH // 8].mean(-1)
    return sum(1 << k for k, bar in enumerate(bars) if bar > 128)


def write(path, codec="libx264", rate=Fraction(25), times=None, frames=FRAMES, **options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={k: str(v) for k, v in options.items()})
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = 1 / rate
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number if times is None else times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def set_matrix(path, matrix):
    """Give an .mp4 file the display matrix of the nine numbers, the first two of each row in 1/65536."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # the track header holds it as big-endian numbers
    data[start : start + 36] = np.array(matrix, ">i4").tobytes()
    path.write_bytes(data)
    return path
