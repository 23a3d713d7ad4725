# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a mask and geometry to labelled points.

A label is the mask's value at the pixel nearest to the point's: for a picture of another size than the mask
that is by the pixels' centres, x' = (x + 0.5) w' / w - 0.5, of two as near the later one. Labels are never
blended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcfm_ros.points.camera import Camera
from dcfm_ros.points.cloud import LabelledCloud, copy_others, new_cloud
from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.transform import Transform

UNLABELLED = 255
_NO_CLASS = 0x808080  # grey: black would be invisible before RViz's background


@dataclass(frozen=True)
class ClassTable:
    """By the mask's values: colours (256,) uint32 0x00RRGGBB, and which points stay (256,) bool."""

    colours: np.ndarray
    stays: np.ndarray

    @property
    def keeps_all(self) -> bool:
        return bool(self.stays.all())


@dataclass(frozen=True)
class Labels:
    """mask, confidence (None: unused): (H, W) uint8 of one size."""

    mask: np.ndarray
    confidence: np.ndarray | None
    table: ClassTable

    def __post_init__(self):
        if self.confidence is not None and self.confidence.shape != self.mask.shape:
            raise PointsError(
                "size",
                f"confidence is {_size(self.confidence.shape)} pixels, but the mask is "
                f"{_size(self.mask.shape)}: take both from one segmenter",
            )


def class_table(
    classes: Sequence[tuple[int, str, tuple[int, int, int]]], wanted: Sequence[str]
) -> ClassTable:
    """classes: id, name and RGB colour, ids in any order; wanted: names of those whose points stay, none for
        all points.
    Raises ValueError for a name that no class has."""
    names = {name for _, name, _ in classes}
    if unknown := [name for name in wanted if name not in names]:
        raise ValueError(
            f"classes has {', '.join(map(repr, unknown))}, which the segmenter's palette has not: use some "
            f"of "
            f"{', '.join(sorted(names))}"
        )
    colours, stays = np.full(256, _NO_CLASS, np.uint32), np.full(256, not wanted)
    for number, name, (red, green, blue) in classes:
        colours[number] = red << 16 | green << 8 | blue
        stays[number] |= name in wanted
    return ClassTable(colours, stays)


def label_depth(depth: np.ndarray, camera: Camera, labels: Labels) -> LabelledCloud:
    """A cloud as wide and high as the depth image; NaN where there is no depth, or a class that is not
    wanted.

    depth: (H, W) float32 metres, NaN for none. Raises PointsError where the calibration is of another size.
    """
    if depth.shape != (camera.height, camera.width):
        raise PointsError(
            "camera",
            f"camera_info is for {_size((camera.height, camera.width))} pixels, but the depth image is "
            f"{_size(depth.shape)}: set info_topic to the calibration of the depth image",
        )
    seen, confidence = _at_grid(depth.shape, labels)
    if not labels.table.keeps_all:
        depth = np.where(labels.table.stays[seen], depth, np.float32(np.nan))
    cloud, rays = new_cloud(depth.shape, confidence is not None), camera.rays()
    with np.errstate(over="ignore", invalid="ignore"):  # of calibrations that are absurd
        for name, ray, offset in (
            ("x", rays[0], camera.tx / camera.fx),
            ("y", rays[1], camera.ty / camera.fy),
        ):
            place = ray * depth
            cloud.records[name] = place - np.float32(offset) if offset else place
    cloud.records["z"] = np.where(np.isnan(rays[0]), rays[0], depth) if camera.distortion else depth
    _fill(cloud, seen, confidence, labels.table)
    return cloud


def label_organised(points: np.ndarray, is_dense: bool, labels: Labels) -> LabelledCloud:
    """A depth camera's cloud (H, W), whose points lie as the pixels of its image; with its own x, y, z and
    further fields."""
    if points.shape[0] < 2:
        raise PointsError(
            "size",
            f"cloud is {_size(points.shape)} points, so it is not organised as an image: let the depth "
            "camera publish an organised cloud, or set source to lidar",
        )
    return _labelled(points, is_dense, *_at_grid(points.shape, labels), labels.table)


def label_lidar(
    points: np.ndarray,
    is_dense: bool,
    camera: Camera,
    to_camera: Transform,
    labels: Labels,
    drop_outside: bool,
) -> LabelledCloud:
    """A cloud (H, W) of any sensor, each point with the label of the pixel at which the camera sees it.

    What the camera cannot see is unlabelled, with confidence 0, or removed with drop_outside. Removed points
    are left out of a cloud of one row, and NaN in one of several.
    """
    x, y, z = (points[name].astype(np.float64) for name in "xyz")
    u, v = camera.project(*to_camera.apply(x, y, z))
    with np.errstate(invalid="ignore"):
        inside = (u >= -0.5) & (u < camera.width - 0.5) & (v >= -0.5) & (v < camera.height - 0.5)
    height, width = labels.mask.shape
    # At the very edge rounding may lead one pixel beyond.
    columns = np.minimum(((u[inside] + 0.5) * (width / camera.width)).astype(np.intp), width - 1)
    rows = np.minimum(((v[inside] + 0.5) * (height / camera.height)).astype(np.intp), height - 1)
    seen = np.full(points.shape, UNLABELLED, np.uint8)
    seen[inside] = labels.mask[rows, columns]
    confidence = None
    if labels.confidence is not None:
        confidence = np.zeros(points.shape, np.uint8)
        confidence[inside] = labels.confidence[rows, columns]
    return _labelled(points, is_dense, seen, confidence, labels.table, inside if drop_outside else None)


def _labelled(
    points: np.ndarray,
    is_dense: bool,
    seen: np.ndarray,
    confidence: np.ndarray | None,
    table: ClassTable,
    stays: np.ndarray | None = None,
) -> LabelledCloud:
    """stays: (H, W) bool; None for all. Classes that are not wanted go, too."""
    if not table.keeps_all:
        stays = table.stays[seen] if stays is None else stays & table.stays[seen]
    is_row = points.shape[0] == 1
    if stays is not None and is_row:
        points, seen = points[stays][None], seen[stays][None]
        confidence = None if confidence is None else confidence[stays][None]
    cloud = new_cloud(points.shape, confidence is not None, points.dtype)
    for name in "xyz":
        with np.errstate(over="ignore"):  # float64 beyond float32 is infinite
            cloud.records[name] = points[name]
        if stays is not None and not is_row:
            cloud.records[name][~stays] = np.nan
    copy_others(cloud.records, points)
    _fill(cloud, seen, confidence, table)
    cloud.is_dense = is_dense and (stays is None or is_row)
    return cloud


def _fill(cloud: LabelledCloud, seen: np.ndarray, confidence: np.ndarray | None, table: ClassTable) -> None:
    cloud.records["label"] = seen
    cloud.records["rgb"] = table.colours[seen]
    if confidence is not None:
        cloud.records["confidence"] = confidence


def _at_grid(shape: tuple[int, int], labels: Labels) -> tuple[np.ndarray, np.ndarray | None]:
    """Mask and confidence at the pixels of a picture of another size (h, w)."""
    if shape == labels.mask.shape:
        return labels.mask, labels.confidence
    rows, columns = (_nearest(count, there) for count, there in zip(shape, labels.mask.shape))
    return tuple(
        None if picture is None else picture[rows][:, columns] for picture in (labels.mask, labels.confidence)
    )


def _nearest(count: int, there: int) -> np.ndarray:
    """Of `there` pixels in a row the nearest to each of `count` that are as long together; exact, as in whole
    numbers."""
    return (2 * np.arange(count) + 1) * there // (2 * count)


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]}×{shape[0]}"
