# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small things which many tests need: a model of few classes with seeded weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.folder import save_model
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.image import normalised

CLASSES = (
    ClassSpec("sky", (128, 128, 128)),
    ClassSpec("road", (128, 64, 128)),
    ClassSpec("tree", (128, 128, 0)),
    ClassSpec("car", (64, 0, 128)),
    ClassSpec("pedestrian", (64, 64, 0)),
)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks on tiny images gain nothing from threads, and lose much where other processes want the same
    cores.

    A conftest.py or test file that imports this has it for all its tests.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_config(classes: int = 4, **changes) -> ModelConfig:
    """MiT-B0 for 64x96 pixels (height x width) with 1 to 5 classes."""
    return ModelConfig(
        **{
            "backbone": "mit_b0",
            "classes": CLASSES[:classes],
            "input_height": 64,
            "input_width": 96,
            **changes,
        }
    )


def tiny_model(classes: int = 4, seed: int = 0, **changes) -> Model:
    """A model with seeded random weights, batch-norm statistics included, in evaluation mode; spares torch's
    generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(tiny_config(classes, **changes))
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.normal_(0.0, 0.2)
                    module.running_var.uniform_(0.5, 2.0)
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0.0, 0.2)
    return model.eval()


def write_tiny_model(folder: str | Path, classes: int = 4, seed: int = 0, **changes) -> Path:
    """A model folder of `tiny_model`; returns the folder."""
    return save_model(folder, tiny_model(classes, seed, **changes))


def own_mask(model: Model, rgb: np.ndarray) -> np.ndarray:
    """The model's argmax (H, W) uint8 of an image (H, W, 3) uint8 by itself: as a keyframe, without the
    pipeline."""
    height, width = input_size(rgb.shape[:2], (model.config.input_height, model.config.input_width))
    if rgb.shape[:2] != (height, width):
        shrinks = rgb.shape[0] >= height and rgb.shape[1] >= width
        small = cv2.resize(
            rgb, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    else:
        small = rgb
    with torch.inference_mode():
        logits = model.keyframe(
            normalised(torch.from_numpy(np.ascontiguousarray(small))[None], model.config.normalisation)
        )
        logits = F.interpolate(logits, size=rgb.shape[:2], mode="bilinear", align_corners=False)
    return logits[0].argmax(0).numpy().astype(np.uint8)
