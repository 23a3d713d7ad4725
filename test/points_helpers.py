# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plane and a box before a small camera, and the fields of messages that show them; for tests with and
without ROS."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np

from dcfm_ros.points.camera import Camera
from dcfm_ros.points.labelling import Labels, class_table

WIDTH, HEIGHT, FOCAL = 8, 6, 4.0
# places and depths are sums of powers of two: float32 has them exactly
CAMERA = Camera(WIDTH, HEIGHT, FOCAL, FOCAL, 3.5, 2.5)
WALL, BOX = 40, 3  # class ids of the plane at 2 m, and of the box at 1 m before it
CLASSES = [(WALL, "wall", (1, 2, 3)), (BOX, "box", (255, 128, 0))]  # neither 0..n-1 nor in order
COLOURS = {WALL: 0x010203, BOX: 0xFF8000, 255: 0x808080}
DATATYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Depth in metres (H, W) float32, and the mask (H, W) uint8, whose unlabelled pixel is the last."""
    depth, mask = np.full((HEIGHT, WIDTH), 2, np.float32), np.full((HEIGHT, WIDTH), WALL, np.uint8)
    depth[2:5, 1:4], mask[2:5, 1:4] = 1, BOX
    mask[-1, -1] = 255
    return depth, mask


def places(depth: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: where the camera's pixels are at these depths."""
    v, u = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]]
    return np.dstack([(u - 3.5) / FOCAL * depth, (v - 2.5) / FOCAL * depth, depth]).astype(np.float32)


def labels(mask: np.ndarray, confidence: np.ndarray | None = None, wanted: tuple[str, ...] = ()) -> Labels:
    return Labels(mask, confidence, class_table(CLASSES, wanted))


def image_fields(pixels: np.ndarray, encoding: str, padding: int = 0) -> dict:
    """Fields of an Image; big-endian if the array is. padding: bytes after each row"""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    return dict(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        step=rows.shape[1],
        is_bigendian=int(pixels.dtype.str[0] == ">"),
        data=array.array("B", rows.tobytes()),
    )


def cloud_fields(
    records: np.ndarray, padding: int = 0, field: type = SimpleNamespace, is_dense: bool = True
) -> dict:
    """Fields of a PointCloud2 with these records (H, W); big-endian if x is. field: the class of a
    PointField"""
    fields = []
    for name, (kind, offset, *_) in records.dtype.fields.items():
        fields.append(
            field(
                name=name,
                offset=offset,
                datatype=DATATYPES[kind.base.str[1:]],
                count=int(np.prod(kind.shape)),
            )
        )
    (height, width), size = records.shape, records.dtype.itemsize
    rows = np.frombuffer(records.tobytes(), np.uint8).reshape(height, width * size)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    return dict(
        height=height,
        width=width,
        fields=fields,
        point_step=records.dtype.itemsize,
        row_step=rows.shape[1],
        is_bigendian=records.dtype["x"].str[0] == ">",
        data=array.array("B", rows.tobytes()),
        is_dense=is_dense,
    )


def info_fields(
    width: int = WIDTH, height: int = HEIGHT, model: str = "plumb_bob", d=(), k=None, p=None
) -> dict:
    """Fields of a CameraInfo: CAMERA's K, and a P of twice its focal length."""
    k = [FOCAL, 0.0, 3.5, 0.0, FOCAL, 2.5, 0.0, 0.0, 1.0] if k is None else k
    p = [2 * FOCAL, 0.0, 3.5, 0.0, 0.0, 2 * FOCAL, 2.5, 0.0, 0.0, 0.0, 1.0, 0.0] if p is None else p
    return dict(
        width=width, height=height, distortion_model=model, d=[float(number) for number in d], k=k, p=p
    )


def info(binning_x=0, binning_y=0, roi=(0, 0, 0, 0), **fields) -> SimpleNamespace:
    """A CameraInfo. roi: x_offset, y_offset, width, height."""
    region = SimpleNamespace(**dict(zip(("x_offset", "y_offset", "width", "height"), roi)))
    return SimpleNamespace(**info_fields(**fields), binning_x=binning_x, binning_y=binning_y, roi=region)


def image(pixels: np.ndarray, encoding: str, padding: int = 0, /, **changes) -> SimpleNamespace:
    return SimpleNamespace(**{**image_fields(pixels, encoding, padding), **changes})


def cloud(records: np.ndarray, padding: int = 0, **changes) -> SimpleNamespace:
    return SimpleNamespace(**{**cloud_fields(records, padding), **changes})


def records(xyz: np.ndarray, order: str = "<", kind: str = "f4", others: tuple = ()) -> np.ndarray:
    """(H, W) with fields x, y, z, and `others` as numpy describes fields, whose values are random bytes."""
    record = np.dtype([(name, order + kind) for name in "xyz"] + list(others))
    data = (
        np.frombuffer(np.random.default_rng(1).bytes(xyz[..., 0].size * record.itemsize), record)
        .reshape(xyz.shape[:2])
        .copy()
    )
    for axis, name in enumerate("xyz"):
        data[name] = xyz[..., axis]
    return data


def xyz(cloud: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 of records."""
    return np.stack([cloud[name] for name in "xyz"], axis=-1)


def colours(labels: np.ndarray) -> np.ndarray:
    return np.vectorize(COLOURS.get)(labels).astype(np.uint32)
