"""Small things which many tests need: a model of few classes with seeded weights."""

from __future__ import annotations

from pathlib import Path

import torch

from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.folder import save_model

CLASSES = (ClassSpec("sky", (128, 128, 128)), ClassSpec("road", (128, 64, 128)), ClassSpec("tree", (128, 128, 0)),
           ClassSpec("car", (64, 0, 128)), ClassSpec("pedestrian", (64, 64, 0)))


def tiny_config(classes: int = 4, **changes) -> ModelConfig:
    """MiT-B0 for 64x96 pixels (height x width) with 1 to 5 classes."""
    return ModelConfig(**{"backbone": "mit_b0", "classes": CLASSES[:classes], "input_height": 64, "input_width": 96, **changes})


def tiny_model(classes: int = 4, seed: int = 0, **changes) -> Model:
    """A model with seeded random weights, batch-norm statistics included, in evaluation mode; spares the global generator."""
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
