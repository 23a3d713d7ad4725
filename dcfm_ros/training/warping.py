# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs from labelled stills: the neighbour is the still as seen by a moved camera, with moving cut-outs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.sources.clips import Clip


class MovedStills:
    """Creates pairs from stills: clips of one labelled frame.

    The camera motion is a small homography and a zoom, as large as between frames 1 to `radius` apart.
    Objects of the classes `movable` (ids), cut out of another still, are pasted at two places, so that both
    frames have exact labels.
    """

    ZOOM = 0.015  # largest zoom per frame: 0.12 over 8 frames
    SMALLEST = 60  # smallest size of a cut-out object in pixels

    def __init__(self, stills: Sequence[Clip], movable: Sequence[int] = (), radius: int = 8):
        self.stills, self.movable, self.radius = stills, movable, radius

    def pair(
        self, still: Clip, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return image (H, W, 3) and label (H, W), then those of the neighbour; determined by the generator's
        state."""
        image, label = _writable(still)
        steps = int(rng.integers(1, self.radius + 1))  # frames between the two
        size = (image.shape[1], image.shape[0])
        homography = self._camera_move(rng, *size, steps)
        moved = cv2.warpPerspective(
            image, homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        moved_label = cv2.warpPerspective(
            label,
            homography,
            size,
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=IGNORE_LABEL,
        )
        if rng.random() < 0.7:
            self._paste(rng, image, label, moved, moved_label, steps)
        if rng.random() < 0.5:  # time may run either way
            return moved, moved_label, image, label
        return image, label, moved, moved_label

    def _camera_move(self, rng: np.random.Generator, width: int, height: int, steps: int) -> np.ndarray:
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        centre = np.array([width * rng.uniform(0.4, 0.6), height * rng.uniform(0.35, 0.55)], np.float32)
        zoom = 1.0 + rng.uniform(0.0, self.ZOOM * steps)
        shift = rng.normal(0.0, 0.003 * steps, 2) * (width, height)
        wobble = rng.normal(0.0, 0.0012 * steps, (4, 2)) * (width, height)
        target = (corners - centre) * zoom + centre + shift + wobble
        return cv2.getPerspectiveTransform(corners, target.astype(np.float32))

    def _paste(self, rng, image, label, moved, moved_label, steps) -> None:
        """Paste an object from another still, moved slightly between the two frames."""
        donor, donor_label = _writable(self.stills[int(rng.integers(len(self.stills)))])
        ids = [c for c in self.movable if np.count_nonzero(donor_label == c) > self.SMALLEST]
        if not ids:
            return
        mask = (donor_label == ids[int(rng.integers(len(ids)))]).astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
        big = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > self.SMALLEST]
        if not big:
            return
        part = big[int(rng.integers(len(big)))]
        x, y, w, h = stats[part, :4]
        cut = (slice(y, y + h), slice(x, x + w))
        height, width = label.shape
        place = np.array(
            [x + rng.integers(-width // 3, width // 3), y + rng.integers(-height // 20, height // 20)]
        )
        step = rng.normal(0.0, (0.004 * steps * width, 0.001 * steps * height))
        for target, target_label, at in ((image, label, place), (moved, moved_label, place + step)):
            shift = np.array([[1, 0, at[0] - x], [0, 1, at[1] - y]], np.float32)
            patch = np.zeros_like(mask)
            patch[cut] = parts[cut] == part
            patch = cv2.warpAffine(patch, shift, (width, height), flags=cv2.INTER_NEAREST).astype(bool)
            target[patch] = cv2.warpAffine(donor, shift, (width, height))[patch]
            target_label[patch] = donor_label[cut][parts[cut] == part][0]


def _writable(still: Clip) -> tuple[np.ndarray, np.ndarray]:
    return np.array(still.image(0)), np.array(still.label(0))
