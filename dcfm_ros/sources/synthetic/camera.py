# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A pinhole dashboard camera."""

import numpy as np

from dcfm_ros.compiled import njit

NEAR = 0.4  # metres; nothing nearer is drawn
_NEAR, _TINY = np.float32(NEAR), np.float32(1e-6)  # for compiled functions


class Camera:
    """Pose and projection for one frame: position (3,), rotation (3, 3), focal in pixels."""

    def __init__(self, position, yaw, pitch, roll, focal, width, height):
        self.position = np.asarray(position, np.float32)
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        right = np.array([cy, 0, -sy])
        forward = np.array([sy * cp, sp, cy * cp])
        down = np.cross(right, forward)
        cr, sr = np.cos(roll), np.sin(roll)
        self.rotation = np.array([cr * right + sr * down, cr * down - sr * right, forward], np.float32)
        self.focal, self.width, self.height = float(focal), width, height
        self.centre = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
        self.yaw, self.pitch = yaw, pitch
        # The same for compiled functions, all of it in 32 bits.
        self.lens = (
            self.position,
            self.rotation,
            np.float32(focal),
            self.centre,
            np.float32(width),
            np.float32(height),
        )

    def view(self, points):
        """World points (..., 3) in camera coordinates (right, down, forward)."""
        return (points - self.position) @ self.rotation.T

    def pixels(self, viewed):
        """Camera coordinates (..., 3) in front of the lens to pixels (..., 2)."""
        depth = np.maximum(viewed[..., 2:], NEAR)
        return viewed[..., :2] * (self.focal / depth) + self.centre

    def plane(self, origin, u_axis, v_axis, x=0, y=0):
        """Homography (3, 3) that takes plane coordinates (u, v, 1) to pixels counted from (x, y)."""
        return _plane(
            self.position,
            self.rotation,
            self.focal,
            float(self.centre[0]) - x,
            float(self.centre[1]) - y,
            origin,
            u_axis,
            v_axis,
        )

    def horizon(self, x):
        """Row (pixels, float) of the horizon at column `x`."""
        a, b, c = self.rotation[:, 1].astype(float)
        return self.centre[1] - self.focal * (c + a * (x - self.centre[0]) / self.focal) / b


@njit(cache=True, nogil=True)
def _plane(position, rotation, focal, centre_x, centre_y, origin, u_axis, v_axis):
    plane = np.empty((3, 3))
    for i in range(3):
        a, b, c = rotation[i, 0], rotation[i, 1], rotation[i, 2]
        plane[i, 0] = a * u_axis[0] + b * u_axis[1] + c * u_axis[2]
        plane[i, 1] = a * v_axis[0] + b * v_axis[1] + c * v_axis[2]
        plane[i, 2] = (
            a * (origin[0] - position[0]) + b * (origin[1] - position[1]) + c * (origin[2] - position[2])
        )
    for k in range(3):
        plane[0, k] = focal * plane[0, k] + centre_x * plane[2, k]
        plane[1, k] = focal * plane[1, k] + centre_y * plane[2, k]
    return plane


@njit(cache=True, nogil=True)
def in_view(lens, point, out):
    """Camera coordinates of one world point (3,), the same to the last bit as Camera.view."""
    position, rotation = lens[0], lens[1]
    x, y, z = (
        np.float64(point[0] - position[0]),
        np.float64(point[1] - position[1]),
        np.float64(point[2] - position[2]),
    )
    for k in range(3):  # a matrix product of numpy rounds to 32 bits after every term, not before
        total = np.float32(x * rotation[k, 0])
        total = np.float32(y * rotation[k, 1] + total)
        out[k] = np.float32(z * rotation[k, 2] + total)


@njit(cache=True, nogil=True)
def to_pixels(lens, viewed, out):
    """Pixel (2,) of camera coordinates (3,) in front of the lens, as Camera.pixels."""
    scale = lens[2] / max(viewed[2], _NEAR)
    out[0] = viewed[0] * scale + lens[3][0]
    out[1] = viewed[1] * scale + lens[3][1]


@njit(cache=True, nogil=True)
def clip_near(viewed, out):
    """Cut a quad (4, 3) in camera coordinates at the near plane; writes `out`, returns the number of
    corners."""
    n = 0
    for i in range(4):
        a, b = viewed[i], viewed[(i + 1) % 4]
        if a[2] >= _NEAR:
            for c in range(3):
                out[n, c] = a[c]
            n += 1
        if (a[2] >= _NEAR) != (b[2] >= _NEAR):
            share = (_NEAR - a[2]) / (b[2] - a[2])
            for c in range(3):
                out[n, c] = a[c] + (b[c] - a[c]) * share
            n += 1
    return n


@njit(cache=True, nogil=True)
def bring_forward(viewed):
    """Bring an end (of two, (2, 3)) that lies behind the lens to the near plane; false if both do."""
    behind_a, behind_b = viewed[0, 2] <= _NEAR, viewed[1, 2] <= _NEAR
    if behind_a and behind_b:
        return False
    if behind_a or behind_b:
        lack = viewed[1, 2] - viewed[0, 2]
        share = (_NEAR - viewed[0, 2]) / (_TINY if abs(lack) < _TINY else lack)
        moved = 0 if behind_a else 1
        for c in range(3):
            viewed[moved, c] = viewed[0, c] + share * (viewed[1, c] - viewed[0, c])
    return True
