# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of training share: one thread, miniature data sets of stills and of video, a small
configuration."""

import cv2
import numpy as np
import pytest
import yaml
from helpers import CLASSES, one_thread, tiny_config  # noqa: F401

from dcfm_ros.training.augment import AugmentConfig
from dcfm_ros.training.settings import DataConfig, PhaseConfig, SourceConfig, TrainConfig

COLORS = np.uint8([[90, 140, 220], [60, 60, 60], [30, 160, 40], [200, 30, 30]])  # RGB of sky, road, tree, car


@pytest.fixture(scope="session")
def colors():
    """Every still's colour tells its class."""
    return COLORS


def scene(number: int) -> np.ndarray:
    """Label (64, 96): sky above road, a tree, a car."""
    label = np.zeros((64, 96), np.uint8)
    label[30 + number :] = 1
    label[8:44, 8 + 6 * number : 26 + 6 * number] = 2
    label[40:54, 60 - 9 * number : 84 - 9 * number] = 3
    return label


def write_frame(folder, name, number, labelled=True):
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / "images" / f"{name}.png"), COLORS[scene(number)][..., ::-1])
    if labelled:
        assert cv2.imwrite(str(folder / "labels" / f"{name}.png"), scene(number))


def write_classes(root, count=4, **more):
    classes = [{"name": c.name, "color": list(c.color)} for c in CLASSES[:count]]
    (root / "classes.yaml").write_text(
        yaml.safe_dump({"classes": classes, "terms": "made by the test", **more})
    )


@pytest.fixture
def stills(tmp_path):
    """A data set of three labelled stills of 96x64 pixels, without splits."""
    root = tmp_path / "stills"
    for number in range(3):
        write_frame(root, f"{'ab'[number // 2]}_{number}", number)
    write_classes(root)
    return root


@pytest.fixture
def held_out(tmp_path):
    """Two more stills, for validation: training may not see them."""
    root = tmp_path / "held_out"
    for number in (0, 2):
        write_frame(root, f"c_{number}", number)
    write_classes(root)
    return root


@pytest.fixture
def video(tmp_path):
    """A data set of one clip of 4 frames in the split train; the first and the last are labelled."""
    root = tmp_path / "video"
    for number in range(4):
        write_frame(root / "train", f"frame{number}", number, labelled=number in (0, 3))
    write_classes(root, video={"rate_hz": 15})
    return root


@pytest.fixture
def train_config(stills):
    """`train_config(iterations=4, batch=2, rate=1e-3, aligned=0.0, **settings)`: stills alone, crops of
    64x64."""

    def make(iterations=4, batch=2, rate=1e-3, aligned=0.0, **settings):
        return TrainConfig(
            **{
                "model": tiny_config(),
                "data": DataConfig(
                    sources=(SourceConfig("folder", root=str(stills)),), movable=("car",), aligned=aligned
                ),
                "phases": (PhaseConfig(iterations, batch, 64, 64, rate, rate),),
                "augment": AugmentConfig(min_zoom=0.8, max_zoom=1.2),
                "warmup": 2,
                "warmup_start": 0.5,
                "amp": False,
                **settings,
            }
        )

    return make
