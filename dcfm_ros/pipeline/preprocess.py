"""From a camera image to the network's input."""

from __future__ import annotations

import cv2
import numpy as np

from dcfm_ros.pipeline.frames import Frame


def network_input(frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) uint8 RGB of size (height, width); normalisation is part of the network.

    Resized first and reordered after: the channel swap then touches the small image only.
    """
    image = frame.image
    height, width = size
    if image.shape[:2] != size:
        shrinking = image.shape[0] >= height and image.shape[1] >= width
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    if frame.is_bgr:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(image)
