# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's calibration beside its masks: the camera_info of the same stamp, fitted to the mask's size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from dcfm_ros.stamps import stamp_ns

_WAITING = 64  # infos, and masks, that may wait for each other: two seconds of a fast camera


@dataclass(frozen=True)
class InfoCounts:
    """Of one camera's infos, so far."""

    topic: str = ""
    paired: int = 0  # published beside a mask
    refused: int = 0  # of another size than the image
    last_error: str = ""


class InfoPairing:
    """Gives each mask the camera_info of its stamp, whichever comes first; none waits for the other.

    `publish` is called on the thread that brings the second of the two. Any thread may call anything.
    """

    def __init__(self, topic: str, publish: Callable[[CameraInfo], None]):
        self._topic, self._publish = topic, publish
        self._lock = threading.Lock()
        self._infos: OrderedDict[int, CameraInfo] = OrderedDict()
        self._masks: OrderedDict[int, tuple] = OrderedDict()  # header, size of the image, size of the mask
        self._paired, self._refused, self._last_error = 0, 0, ""

    def info(self, info: CameraInfo) -> None:
        """An info has come."""
        with self._lock:
            mask = self._masks.pop(stamp_ns(info.header.stamp), None)
            if mask is None:
                _keep(self._infos, stamp_ns(info.header.stamp), info)
        if mask is not None:
            self._pair(info, *mask)

    def mask(self, header, image_size: tuple[int, int], mask_size: tuple[int, int]) -> None:
        """A mask was published; sizes are (H, W)."""
        with self._lock:
            info = self._infos.pop(stamp_ns(header.stamp), None)
            if info is None:
                _keep(self._masks, stamp_ns(header.stamp), (header, image_size, mask_size))
        if info is not None:
            self._pair(info, header, image_size, mask_size)

    def counts(self) -> InfoCounts:
        with self._lock:
            return InfoCounts(self._topic, self._paired, self._refused, self._last_error)

    def _pair(
        self, info: CameraInfo, header, image_size: tuple[int, int], mask_size: tuple[int, int]
    ) -> None:
        try:
            fitted = fitted_info(info, image_size, mask_size)
        except ValueError as error:
            with self._lock:
                self._refused, self._last_error = self._refused + 1, str(error)
            return
        fitted.header = header
        with self._lock:
            self._paired += 1
        self._publish(fitted)


def fitted_info(info: CameraInfo, image_size: tuple[int, int], mask_size: tuple[int, int]) -> CameraInfo:
    """The calibration of a picture of mask_size (H, W) that shows what an image of image_size does, but for
    the header.

    A region of interest and binning are in it already, as they are in the image: the picture is the whole of
    it. The middle of the first pixel is 0, so a coordinate x becomes (x + 0.5) * scale - 0.5, as masks are
    sampled; matrices of zeros, which are no calibration, stay as they are. Raises ValueError where the info
    is of another size than the image.
    """
    roi = (
        info.roi
        if info.roi.width and info.roi.height
        else RegionOfInterest(width=info.width, height=info.height)
    )
    told = tuple(
        side // max(1, binning)
        for side, binning in ((roi.height, info.binning_y), (roi.width, info.binning_x))
    )
    if told != tuple(image_size):
        raise ValueError(
            f"camera_info is of {told[1]}x{told[0]} and the image of {image_size[1]}x{image_size[0]}: let "
            f"the driver send "
            "infos of its images' size (width, height, roi, binning)"
        )
    scales = mask_size[1] / roi.width, mask_size[0] / roi.height
    return CameraInfo(
        height=mask_size[0],
        width=mask_size[1],
        distortion_model=info.distortion_model,
        d=info.d,
        r=info.r,
        k=_moved(info.k, (3, 3), scales, roi),
        p=_moved(info.p, (3, 4), scales, roi),
    )


def _moved(values, shape: tuple[int, int], scales: tuple[float, float], roi: RegionOfInterest) -> np.ndarray:
    """A camera's matrix, whose first two rows are in pixels, for the part of the picture and its scale."""
    matrix = np.array(values, np.float64).reshape(shape)
    if matrix[0, 0] == 0:
        return matrix.ravel()
    for row, (scale, offset) in enumerate(zip(scales, (roi.x_offset, roi.y_offset))):
        matrix[row] *= scale
        matrix[row, 2] += (0.5 - offset) * scale - 0.5
    return matrix.ravel()


def _keep(waiting: OrderedDict, stamp: int, value) -> None:
    waiting[stamp] = value
    while len(waiting) > _WAITING:
        waiting.popitem(last=False)
