# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of distillation share: a teacher that goes by brightness, and footage of moving pictures."""

from dataclasses import dataclass

import numpy as np
import pytest
from bags_helpers import drive
from helpers import CLASSES, one_thread  # noqa: F401

from dcfm_ros.distillation.options import LabellingOptions


class BrightnessTeacher:
    """Its classes are bands of brightness."""

    name, identity, folder = "brightness", "0" * 64, None

    def __init__(self, classes: int = 4):
        self.classes = CLASSES[:classes]
        self.seen = 0

    def probabilities(self, picture):
        self.seen += 1
        band = picture[::2, ::2].mean(2) / 256 * len(self.classes)
        distance = np.abs(band - np.arange(len(self.classes))[:, None, None] - 0.5)
        shares = np.exp(-4 * distance)
        return (shares / shares.sum(0)).astype(np.float32)

    def stop(self):
        pass


@dataclass
class Pictures:
    """Footage in memory; the frames `damaged` cannot be read."""

    name: str
    length: int
    rate_hz: float = 15.0
    terms: str = "made by the test"
    damaged: tuple = ()
    stop_at: int | None = None  # Ctrl-C comes at this frame

    def frames(self, wanted):
        shown = drive(self.length, seed=3, cut=1000)
        for index in sorted(wanted):
            if index == self.stop_at:
                raise KeyboardInterrupt
            if index not in self.damaged:
                yield index, shown[index]


@pytest.fixture
def teacher():
    return BrightnessTeacher()


@pytest.fixture
def pictures():
    return Pictures


@pytest.fixture
def options(tmp_path):
    """`options(**changes)`: 30 frames, pairs at most 6 apart."""

    def make(**changes):
        return LabellingOptions(
            **{
                "teacher": "unused",
                "data": ("unused",),
                "out": str(tmp_path / "run"),
                "frames": 30,
                "radius": 6,
                **changes,
            }
        )

    return make
