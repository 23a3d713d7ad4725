# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelling of points with a mask.

A label is the mask's value at the nearest pixel: if image and mask differ in size, pixel centres map as
x' = (x + 0.5) w' / w - 0.5, and of two equally near pixels the later one is used. Labels are never
interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.points.camera import Camera
from dcfm_ros.points.cloud import LabelledCloud, copy_others, new_cloud
from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.transform import Transform

_NO_CLASS = 0x808080  # grey: black would be invisible on RViz's background


@dataclass(frozen=True)
class ClassTable:
    """Lookup tables by mask value: colours (256,) uint32 0x00RRGGBB, and whether points are kept (256,)
    bool."""

    colours: np.ndarray
    stays: np.ndarray

    @property
    def keeps_all(self) -> bool:
        return bool(self.stays.all())


@dataclass(frozen=True)
class Labels:
    """Labels of an image. mask, confidence (None: unused): (H, W) uint8 of equal size"""

    mask: np.ndarray
    confidence: np.ndarray | None
    table: ClassTable

    def __post_init__(self) -> None:
        if self.confidence is not None and self.confidence.shape != self.mask.shape:
            raise PointsError(
                "size",
                f"confidence is {_size(self.confidence.shape)} pixels, but the mask is "
                f"{_size(self.mask.shape)}: take both from one segmenter",
            )


def class_table(
    classes: Sequence[tuple[int, str, tuple[int, int, int]]], wanted: Sequence[str]
) -> ClassTable:
    """Create the lookup tables. classes: id, name and RGB colour, ids in any order; wanted: names of classes
    whose points are kept; empty: all points. Raises ValueError for an unknown name."""
    names = {name for _, name, _ in classes}
    if unknown := [name for name in wanted if name not in names]:
        raise ValueError(
            f"classes has {', '.join(map(repr, unknown))}, which the segmenter's palette has not: use some "
            f"of {', '.join(sorted(names))}"
        )
    colours, stays = np.full(256, _NO_CLASS, np.uint32), np.full(256, not wanted)
    for number, name, (red, green, blue) in classes:
        colours[number] = red << 16 | green << 8 | blue
        stays[number] |= name in wanted
    return ClassTable(colours, stays)


def label_depth(depth: np.ndarray, camera: Camera, labels: Labels) -> LabelledCloud:
    """Return the labelled cloud of a depth image, with its width and height; NaN if there is no depth, or for
    unwanted classes.

    depth: (H, W) float32 metres, NaN for none. Raises PointsError if the calibration is for another size.
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
    with np.errstate(over="ignore", invalid="ignore"):  # absurd calibrations
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
    """Label a depth camera's organised cloud (H, W), whose points correspond to the pixels of its image;
    keeps its x, y, z and further fields."""
    if points.shape[0] < 2 or not points.size:  # of no points it can claim billions of rows
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
    """Label a cloud (H, W) of any sensor by projecting its points into the camera.

    Points that the camera cannot see are unlabelled, with confidence 0, or removed with drop_outside. Removed
    points are omitted from a cloud of one row, and set to NaN in one of several rows.
    """
    x, y, z = (points[name].astype(np.float64) for name in "xyz")
    u, v = camera.project(*to_camera.apply(x, y, z))
    with np.errstate(invalid="ignore"):
        inside = (u >= -0.5) & (u < camera.width - 0.5) & (v >= -0.5) & (v < camera.height - 0.5)
    height, width = labels.mask.shape
    # At the very edge rounding may yield an index one beyond the last pixel.
    columns = np.minimum(((u[inside] + 0.5) * (width / camera.width)).astype(np.intp), width - 1)
    rows = np.minimum(((v[inside] + 0.5) * (height / camera.height)).astype(np.intp), height - 1)
    seen = np.full(points.shape, IGNORE_LABEL, np.uint8)
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
    """Return the labelled cloud. stays: points to keep, (H, W) bool; None for all. Points of unwanted classes
    are removed, too."""
    if not table.keeps_all:
        stays = table.stays[seen] if stays is None else stays & table.stays[seen]
    is_row = points.shape[0] == 1
    if stays is not None and is_row:
        points, seen = points[stays][None], seen[stays][None]
        confidence = None if confidence is None else confidence[stays][None]
    cloud = new_cloud(points.shape, confidence is not None, points.dtype)
    for name in "xyz":
        with np.errstate(over="ignore"):  # float64 values beyond float32 become infinite
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
    """Return mask and confidence sampled at the pixels of an image of another size (h, w)."""
    if shape == labels.mask.shape:
        return labels.mask, labels.confidence
    rows, columns = (_nearest(count, there) for count, there in zip(shape, labels.mask.shape))
    confidence = None if labels.confidence is None else labels.confidence[rows][:, columns]
    return labels.mask[rows][:, columns], confidence


def _nearest(count: int, there: int) -> np.ndarray:
    """Return, for each of `count` pixels, the nearest of `there` pixels that span the same length; exact, in
    integers."""
    return (2 * np.arange(count) + 1) * there // (2 * count)


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]}×{shape[0]}"
