# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""camera_info of masks: the camera's calibration with the mask's stamp, scaled to the mask's size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from dcfm_ros.stamps import stamp_ns

_WAITING = 64  # maximum number of infos and of masks that wait for each other: two seconds of a fast camera


@dataclass(frozen=True)
class InfoCounts:
    """Counters of one camera's infos."""

    topic: str = ""
    paired: int = 0  # published with a mask
    refused: int = 0  # for another size than the image's, or no calibration at all
    last_error: str = ""


class InfoPairing:
    """Pairs each mask with the camera_info of the same stamp, in any order of arrival, without delaying
    masks.

    `publish` is called on the thread that adds the second of the two. All methods are thread-safe.
    """

    def __init__(self, topic: str, publish: Callable[[CameraInfo], None]):
        self._topic, self._publish = topic, publish
        self._lock = threading.Lock()
        self._infos: OrderedDict[int, CameraInfo] = OrderedDict()
        self._masks: OrderedDict[int, tuple] = OrderedDict()  # header, size of the image, size of the mask
        self._paired, self._refused, self._last_error = 0, 0, ""

    def add_info(self, info: CameraInfo) -> None:
        """Add a received info."""
        with self._lock:
            mask = self._masks.pop(stamp_ns(info.header.stamp), None)
            if mask is None:
                _store(self._infos, stamp_ns(info.header.stamp), info)
        if mask is not None:
            self._pair(info, *mask)

    def add_mask(self, header, image_size: tuple[int, int], mask_size: tuple[int, int]) -> None:
        """Add a published mask; sizes are (H, W)."""
        with self._lock:
            info = self._infos.pop(stamp_ns(header.stamp), None)
            if info is None:
                _store(self._masks, stamp_ns(header.stamp), (header, image_size, mask_size))
        if info is not None:
            self._pair(info, header, image_size, mask_size)

    def refuse(self, error: ValueError) -> None:
        """Count an info that cannot be used."""
        with self._lock:
            self._refused, self._last_error = self._refused + 1, str(error)

    def counts(self) -> InfoCounts:
        with self._lock:
            return InfoCounts(self._topic, self._paired, self._refused, self._last_error)

    def _pair(
        self, info: CameraInfo, header, image_size: tuple[int, int], mask_size: tuple[int, int]
    ) -> None:
        try:
            fitted = scaled_camera_info(info, image_size, mask_size)
        except ValueError as error:
            self.refuse(error)
            return
        fitted.header = header
        with self._lock:
            self._paired += 1
        self._publish(fitted)


def scaled_camera_info(
    info: CameraInfo, image_size: tuple[int, int], mask_size: tuple[int, int]
) -> CameraInfo:
    """Scale a calibration from image_size to mask_size (H, W); the result has no header.

    The region of interest and binning are applied, as they are in the image: the result describes the
    complete mask. The centre of the first pixel is at 0, so a coordinate x becomes (x + 0.5) * scale - 0.5,
    as masks are sampled; matrices of zeros (uncalibrated) stay unchanged. Raises ValueError if the info is
    for another size than the image's.
    """
    roi = (
        info.roi
        if info.roi.width and info.roi.height
        else RegionOfInterest(width=info.width, height=info.height)
    )
    stated = tuple(
        side // max(1, binning)
        for side, binning in ((roi.height, info.binning_y), (roi.width, info.binning_x))
    )
    if stated != tuple(image_size):
        raise ValueError(
            f"camera_info is of {stated[1]}x{stated[0]} and the image of {image_size[1]}x{image_size[0]}: "
            "let the driver send infos of its images' size (width, height, roi, binning)"
        )
    scales = mask_size[1] / roi.width, mask_size[0] / roi.height
    return CameraInfo(
        height=mask_size[0],
        width=mask_size[1],
        distortion_model=info.distortion_model,
        d=info.d,
        r=info.r,
        k=_scaled_matrix(info.k, (3, 3), scales, roi),
        p=_scaled_matrix(info.p, (3, 4), scales, roi),
    )


def _scaled_matrix(
    values, shape: tuple[int, int], scales: tuple[float, float], roi: RegionOfInterest
) -> np.ndarray:
    """Apply the region of interest and the scales to a camera's matrix, whose first two rows are in
    pixels."""
    matrix = np.array(values, np.float64).reshape(shape)
    if matrix[0, 0] == 0:
        return matrix.ravel()
    for row, (scale, offset) in enumerate(zip(scales, (roi.x_offset, roi.y_offset))):
        matrix[row] *= scale
        matrix[row, 2] += (0.5 - offset) * scale - 0.5
    return matrix.ravel()


def _store(waiting: OrderedDict, stamp: int, value) -> None:
    waiting[stamp] = value
    while len(waiting) > _WAITING:
        waiting.popitem(last=False)
