"""A pinhole dashboard camera."""
import numpy as np

NEAR = 0.4   # metres; nothing nearer is drawn


class Camera:
    """Pose and projection for one frame: position (3,), rotation (3, 3), focal in pixels."""

    def __init__(self, position, yaw, pitch, roll, focal, width, height):
        self.position = np.asarray(position, np.float32)
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        right = np.array([cy, 0, -sy])
        forward = np.array([sy * cp, sp, cy * cp])
        down = np.cross(right, forward)
        cr, sr = np.cos(roll), np.sin(roll)
        self.rotation = np.array([cr * right + sr * down, cr * down - sr * right, forward],
                                 np.float32)
        self.focal, self.width, self.height = float(focal), width, height
        self.centre = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
        self.yaw, self.pitch = yaw, pitch

    def view(self, points):
        """World points (..., 3) in camera coordinates (right, down, forward)."""
        return (points - self.position) @ self.rotation.T

    def pixels(self, viewed):
        """Camera coordinates (..., 3) in front of the lens to pixels (..., 2)."""
        depth = np.maximum(viewed[..., 2:], NEAR)
        return viewed[..., :2] * (self.focal / depth) + self.centre

    def plane(self, origin, u_axis, v_axis):
        """Homography (3, 3) that takes plane coordinates (u, v, 1) to pixels."""
        columns = np.stack([self.rotation @ u_axis, self.rotation @ v_axis,
                            self.rotation @ (origin - self.position)], axis=1)
        k = np.array([[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1]])
        return k @ columns.astype(np.float64)

    def horizon(self, x):
        """Row (pixels, float) of the horizon at column `x`."""
        a, b, c = self.rotation[:, 1].astype(float)
        return self.centre[1] - self.focal * (c + a * (x - self.centre[0]) / self.focal) / b


def clip_near(viewed):
    """Cut a polygon (K, 3) in camera coordinates at the near plane."""
    out = []
    for a, b in zip(viewed, np.roll(viewed, -1, axis=0)):
        if a[2] >= NEAR:
            out.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            out.append(a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))
    return np.array(out, np.float32).reshape(-1, 3)
