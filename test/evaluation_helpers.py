# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of the evaluation share: clips in memory, and a backend whose masks tell what they are made
of."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from dcfm_ros.pipeline.backends.base import MasksOnHost

SIZE = (64, 96)  # of images and network input
CLASSES = 4


@dataclass
class MemoryClip:
    """A clip of given images and labels. `read` notes the images that were asked for."""

    images: list
    labels: dict
    name: str = "clip"
    rate_hz: float = 15.0
    read: list = field(default_factory=list)

    @property
    def length(self):
        return len(self.images)

    @property
    def labelled(self):
        return sorted(self.labels)

    def image(self, index):
        self.read.append(index)
        return self.images[index]

    def label(self, index):
        return self.labels[index]


def make_clip(length, seed=0, size=SIZE, labelled=None, motion=6.0, classes=CLASSES, name="clip", least=0.0):
    """A picture that moves by `least` pixels a frame and up to `motion` more, with labels that seldom change.

    The number of a frame is its first pixel.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 40, 3), dtype=np.uint8)
    wide = cv2.resize(coarse, (size[1] * 5, size[0]), interpolation=cv2.INTER_CUBIC)
    images, labels, at = [], {}, 0.0
    label = rng.integers(0, classes, size, dtype=np.uint8)
    for index in range(length):
        image = np.ascontiguousarray(wide[:, int(at) % (size[1] * 4) :][:, : size[1]])
        image[0, 0] = index
        images.append(image)
        at += least + motion * rng.random()
        label = np.where(rng.random(size) < 0.03, rng.integers(0, classes, size), label).astype(np.uint8)
        label[:3] = 255
        if labelled is None or index in labelled:
            labels[index] = label.copy()
    return MemoryClip(images, labels, name)


class NotingBackend(MasksOnHost):
    """Features are the number of their frame; a mask is drawn with frame and keyframes as seed, mostly of one
    class.

    `shallows` and `deeps` note the frames that were computed, `decoded` (frame, keyframes) of each mask, a
    frame whose S was taken away as -1; `moved` notes the keyframes of each mask whose features were moved.
    """

    name, device, precision = "noting", "cpu", "f32"

    def __init__(self, classes=CLASSES):
        self.classes = classes
        self.shallows, self.deeps, self.decoded, self.moved = [], [], [], []

    def shallow(self, image):
        self.shallows.append(int(image[0, 0, 0]))
        return np.array([image[0, 0, 0] + 1, *image.shape[:2]], np.int64)

    def deep(self, shallow, between_slices=lambda: None):
        self.deeps.append(int(shallow[0]) - 1)
        return shallow.copy()

    def decode(self, shallow, commons, motions=()):
        frame, keyframes = int(shallow[0]) - 1, tuple(int(common[0]) - 1 for common in commons)
        self.decoded.append((frame, keyframes))
        self.moved.append(
            tuple(keyframe for keyframe, motion in zip(keyframes, motions) if motion is not None)
        )
        return logits_of(frame, keyframes, self.classes, tuple(commons[0][1:] // 4))


def logits_of(frame, keyframes, classes=CLASSES, size=(SIZE[0] // 4, SIZE[1] // 4)):
    """What NotingBackend makes of a frame and the keyframes that serve it."""
    steady = np.random.default_rng((min(keyframes) + 1) // 6).random((classes, *size))
    own = np.random.default_rng((frame + 1, *(keyframe + 1 for keyframe in keyframes))).random(
        (classes, *size)
    )
    return (steady + 0.2 * own).astype(np.float32)
