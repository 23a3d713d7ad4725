# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The points of the study of scale: one thing grows, all else stays. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

IMAGE, NETWORK, CLASSES, CAMERAS, BACKBONES = AXES = ("image", "network", "classes", "cameras", "backbone")


@dataclass(frozen=True)
class Point:
    """What is measured: sizes are (H, W); `network` is the budget of pixels, as a model has it."""

    backbone: str = "mit_b0"
    classes: int = 11
    camera: tuple[int, int] = (480, 640)
    network: tuple[int, int] = (352, 480)
    cameras: int = 1


BASE = Point()
_HEIGHTS = (240, 360, 480, 720, 1080, 1440, 2160)
_NETWORK_HEIGHTS = (240, 480, 720, 1080)  # a network of 2160 rows takes seconds and gigabytes
_CLASSES = (2, 11, 50, 150)
_CAMERAS = (1, 2, 4, 8)
_BACKBONES = ("mit_b0", "mit_b1", "mit_b2", "pspnet18", "efficientnet_lite2")


def points(axes: Iterable[str] = AXES) -> list[tuple[str, Point]]:
    """Pairs of axis and point, in order. The base point is on several axes."""
    return [(axis, point) for axis in axes for point in _along(axis)]


def value(axis: str, point: Point) -> str | int:
    """Where a point is on an axis; images and networks by their height."""
    return {
        IMAGE: point.camera[0],
        NETWORK: point.camera[0],
        CLASSES: point.classes,
        CAMERAS: point.cameras,
        BACKBONES: point.backbone,
    }[axis]


def _along(axis: str) -> Iterator[Point]:
    if axis == IMAGE:
        yield from (replace(BASE, camera=_wide(height)) for height in _HEIGHTS)
    elif axis == NETWORK:
        sizes = (_wide(height) for height in _NETWORK_HEIGHTS)
        yield from (replace(BASE, camera=size, network=size) for size in sizes)
    elif axis == CLASSES:
        yield from (replace(BASE, classes=classes) for classes in _CLASSES)
    elif axis == CAMERAS:
        yield from (replace(BASE, cameras=cameras) for cameras in _CAMERAS)
    else:
        yield from (replace(BASE, backbone=backbone) for backbone in _BACKBONES)


def _wide(height: int) -> tuple[int, int]:
    """16:9, of an even width."""
    return height, 2 * round(height * 8 / 9)
