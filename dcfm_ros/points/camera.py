# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pinhole camera model with distortion: rays of pixels, and projection of points.

The camera looks along z; x points right and y down (optical frame, REP 103). Pixel centres are at integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dcfm_ros.points.errors import PointsError

# allowed numbers of coefficients, by distortion model
_COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8,)}
_MOST = 1e9  # upper limit of a calibration's numbers
_LEAST = 1e-12  # distortion coefficients below this have no effect
_ITERATIONS = 100  # of the inverse distortion; strong lenses need about 50
_CONVERGED = 1e-9  # focal lengths: a millionth of a pixel


@dataclass(frozen=True)
class Camera:
    """Camera model for images of width × height pixels. fx, fy, cx, cy, tx, ty: from the projection matrix,
    in pixels; tx and ty are nonzero for the second camera of a stereo pair, as in `CameraInfo`. distortion:
    k1, k2, p1, p2, k3, k4, k5, k6; empty for none"""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    tx: float = 0.0
    ty: float = 0.0
    distortion: tuple[float, ...] = ()

    @lru_cache(maxsize=2)  # noqa: B019
    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (x, y) of each pixel at depth 1, float32, with shapes that broadcast to (height, width); NaN
        if no ray hits the pixel.

        A point at depth z is (x z - tx / fx, y z - ty / fy, z).
        """
        x = ((np.arange(self.width) - self.cx) / self.fx)[None]
        y = ((np.arange(self.height) - self.cy) / self.fy)[:, None]
        if self.distortion:
            x, y = self._undistorted(*np.broadcast_arrays(x, y))
        with np.errstate(over="ignore"):
            return x.astype(np.float32), y.astype(np.float32)

    def project(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project points (float64, metres, in the camera's frame) to pixels (u, v); NaN for points that the
        camera cannot see: behind it, or so far outside that the distortion polynomial is not monotonic."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            depth = np.where(z > 0, z, np.nan)
            x, y = (x + self.tx / self.fx) / depth, (y + self.ty / self.fy) / depth
            if self.distortion:
                x, y = self._distorted(x, y)
            return self.fx * x + self.cx, self.fy * y + self.cy

    def _distorted(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radial, dx, dy = self._bend(x, y)
        radial[x * x + y * y >= self._turns_back()] = np.nan
        return x * radial + dx, y * radial + dy

    def _undistorted(self, x_seen: np.ndarray, y_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Invert the distortion by iterating (x_seen - dx) / radial, since it is small compared to the
        image."""
        x, y = x_seen, y_seen
        limit = self._turns_back()
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for _ in range(_ITERATIONS):
                radial, dx, dy = self._bend(x, y)
                x_new, y_new = (x_seen - dx) / radial, (y_seen - dy) / radial
                change = np.maximum(abs(x_new - x), abs(y_new - y))
                x, y = x_new, y_new
                if not np.any(change > _CONVERGED):  # NaN counts as converged
                    break
            unseen = ~((change <= _CONVERGED) & (x * x + y * y < limit))
            return np.where(unseen, np.nan, x), np.where(unseen, np.nan, y)

    def _bend(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the radial factor and the tangential offsets at undistorted positions."""
        k1, k2, p1, p2, k3, k4, k5, k6 = self.distortion
        s = x * x + y * y
        radial = (1 + s * (k1 + s * (k2 + s * k3))) / (1 + s * (k4 + s * (k5 + s * k6)))
        xy = 2 * x * y
        return radial, p1 * xy + p2 * (s + 2 * x * x), p1 * (s + 2 * y * y) + p2 * xy

    def _turns_back(self) -> float:
        """Return the squared radius s beyond which the distortion polynomial is not monotonic and thus
        meaningless: the smallest positive root of the derivative of r N(s) / D(s), or of D; infinite if there
            is none."""
        k1, k2, _, _, k3, k4, k5, k6 = self.distortion
        above, below, s = np.poly1d([k3, k2, k1, 1]), np.poly1d([k6, k5, k4, 1]), np.poly1d([1, 0])
        slope = above * below + 2 * s * (above.deriv() * below - above * below.deriv())
        roots = np.concatenate([slope.roots, below.roots])
        real = roots.real[(abs(roots.imag) < 1e-9) & (roots.real > 0)]
        return float(real.min(initial=np.inf))


def read_camera(info: Any, rectified: bool) -> Camera:
    """Return the camera of a `sensor_msgs/CameraInfo`. rectified: P describes the image; otherwise K and D
    do. Raises PointsError."""
    roi = info.roi
    if (
        info.binning_x > 1
        or info.binning_y > 1
        or roi.x_offset
        or roi.y_offset
        or ((roi.width, roi.height) not in ((0, 0), (info.width, info.height)))
    ):
        raise PointsError(
            "camera",
            "camera_info has binning or a region of interest, which is not read: publish the calibration "
            "of the image as it is sent",
        )
    if rectified:
        fx, _, cx, tx, _, fy, cy, ty, *_ = info.p
        distortion: tuple[float, ...] = ()
    else:
        fx, _, cx, _, fy, cy, *_ = info.k
        tx = ty = 0.0
        distortion = _distortion(info.distortion_model, tuple(info.d))
    if not (info.width and info.height):
        raise PointsError(
            "camera",
            f"camera_info is for {info.width}×{info.height} pixels: its publisher must set width and height",
        )
    if not (np.abs([fx, fy, cx, cy, tx, ty, *distortion]) < _MOST).all():  # also catches NaN
        raise PointsError(
            "camera",
            f"camera_info is not finite or beyond {_MOST:g} in {'P' if rectified else 'K or D'}: calibrate "
            "the camera, and give its driver the file",
        )
    if fx <= 0 or fy <= 0:
        raise PointsError(
            "camera",
            f"camera_info has focal lengths {fx:g} and {fy:g} in {'P' if rectified else 'K'}, so the "
            "camera is not calibrated: calibrate it, and give its driver the file",
        )
    return Camera(info.width, info.height, fx, fy, cx, cy, tx, ty, distortion)


def _distortion(model: str, coefficients: tuple[float, ...]) -> tuple[float, ...]:
    coefficients = tuple(0.0 if abs(number) < _LEAST else number for number in coefficients)
    if not any(coefficients):
        return ()
    if len(coefficients) not in _COEFFICIENTS.get(model, ()):
        raise PointsError(
            "camera",
            f"camera_info has distortion_model {model[:40]!r} with {len(coefficients)} coefficients: "
            "only plumb_bob (5) and rational_polynomial (8) are read; rectify the image, and set rectified "
            "to true",
        )
    return coefficients + (0.0,) * (8 - len(coefficients))
