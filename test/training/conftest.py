"""What the tests of training share: one thread, a folder of miniature stills, a small configuration."""
import cv2
import numpy as np
import pytest
import torch
from helpers import tiny_config

from dcfm_ros.training.augment import AugmentConfig
from dcfm_ros.training.config import DataConfig, PhaseConfig, TrainConfig

COLORS = np.uint8([[90, 140, 220], [60, 60, 60], [30, 160, 40], [200, 30, 30]])   # RGB of sky, road, tree, car


@pytest.fixture(autouse=True)
def one_thread():
    """Networks on tiny images gain nothing from threads, and lose much where other processes want the same cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def colors():
    """Every still's colour tells its class."""
    return COLORS


def scene(number: int) -> np.ndarray:
    """Label (64, 96): sky above road, a tree, a car."""
    label = np.zeros((64, 96), np.uint8)
    label[30 + number:] = 1
    label[8:44, 8 + 6 * number:26 + 6 * number] = 2
    label[40:54, 60 - 9 * number:84 - 9 * number] = 3
    return label


@pytest.fixture
def stills(tmp_path):
    """A folder of three labelled stills of 96x64 pixels."""
    root = tmp_path / "stills"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(3):
        name = f"{'ab'[number // 2]}_{number}.png"
        assert cv2.imwrite(str(root / "images" / name), COLORS[scene(number)][..., ::-1])
        assert cv2.imwrite(str(root / "labels" / name), scene(number))
    return root


@pytest.fixture
def train_config(stills):
    """`train_config(iterations=4, batch=2, **settings)`: stills alone, crops of 64x64."""
    def make(iterations=4, batch=2, rate=1e-3, **settings):
        return TrainConfig(**{
            "model": tiny_config(),
            "data": DataConfig(synthetic_weight=0, stills_weight=1, stills=str(stills), movable=("car",)),
            "phases": (PhaseConfig(iterations, batch, 64, 64, rate, rate),),
            "augment": AugmentConfig(min_zoom=0.8, max_zoom=1.2),
            "warmup": 2, "amp": False, **settings})
    return make
