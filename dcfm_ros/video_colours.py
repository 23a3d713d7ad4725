# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The colours of a decoded video frame, as a player shows them; for video files and for the packets of
messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

BT601, BT709 = 5, 1  # numbers of colour matrices in FFmpeg
_UNMARKED = 2
_SD = (1024, 576)  # players take larger videos without a mark for BT.709


def to_rgb(
    frame: av.VideoFrame, width: int | None = None, height: int | None = None, unmarked: int | None = None
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: matrix and range as the stream is marked.

    width, height: of the picture to be made, the frame's own where None
    unmarked: the matrix where the stream does not say it, BT601 or BT709; None: by the size, as players do
    """
    width, height = width or frame.width, height or frame.height
    if frame.colorspace != _UNMARKED:
        matrix = None
    elif unmarked is not None:
        matrix = unmarked
    else:
        matrix = BT709 if frame.width > _SD[0] or frame.height > _SD[1] else None
    return frame.reformat(width, height, "rgb24", src_colorspace=matrix).to_ndarray()
