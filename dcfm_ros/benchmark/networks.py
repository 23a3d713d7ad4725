# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is compared: DCFM and the per-frame network of the same backbone.

Times do not depend on what weights say, but for one step: upsample-and-argmax evaluates cells on class
borders only. So both networks must give masks with regions, as trained ones do. A classifier without training
is therefore fitted, by least
squares: that of a random model to the labels of a synthetic scene, that of a trained model's counterpart to
the masks of the trained one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.image import normalised
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.sources.open import open_source

_SEED = 0
_FIT_FRAMES = range(0, 40, 10)  # of the synthetic scene's first shot
_RIDGE = 1e-3  # of the features' mean square


@dataclass(frozen=True)
class Networks:
    """Both networks in evaluation mode, with the same encoder and fusion of its stages."""

    dcfm: DCFM
    per_frame: PerFrame
    weights: str  # where they come from, in words

    @property
    def config(self) -> ModelConfig:
        return self.dcfm.config


def load_networks(name: str, camera: tuple[int, int], size: tuple[int, int] | None = None) -> Networks:
    """Of a model, of either architecture: its own network and the counterpart. size: input (H, W) instead of
    the model's."""
    model = load_model(name)
    model.config = _sized(model.config, size)
    if model.config.shallow_on != "all":
        raise ValueError(
            f"the model's shallow_on is {model.config.shallow_on!r}: such an ablation can only be "
            "evaluated (dcfm evaluate)"
        )
    is_dcfm = isinstance(model, DCFM)
    other = _random_model(replace(model.config, architecture="per_frame" if is_dcfm else "dcfm"))
    other.encoder.load_state_dict(model.encoder.state_dict())
    other.fusion.load_state_dict(model.fusion.state_dict())
    images = [_tensor(image, camera, model.config) for image, _ in labelled_scene(camera)]
    with torch.inference_mode():
        masks = [model.keyframe(image)[0].argmax(0) for image in images]
    _fit(other, images, masks)
    what = (
        "the per-frame network's classifier"
        if is_dcfm
        else "DCFM's fusion with S is random and its classifier"
    )
    return Networks(
        *(cast(tuple[DCFM, PerFrame], (model, other) if is_dcfm else (other, model))),
        f"of {name}; {what} is fitted to its masks",
    )


def random_networks(backbone: str, classes: int, camera: tuple[int, int], size: tuple[int, int]) -> Networks:
    """With seeded random weights. size: input (H, W)."""
    table = tuple(ClassSpec(f"class {number}", (0, 0, 0)) for number in range(classes))
    dcfm = _random_model(_sized(ModelConfig(backbone, table), size))
    per_frame = _random_model(replace(dcfm.config, architecture="per_frame"))
    per_frame.encoder.load_state_dict(dcfm.encoder.state_dict())
    per_frame.fusion.load_state_dict(dcfm.fusion.state_dict())
    images, masks = [], []
    for image, label in labelled_scene(camera):
        images.append(_tensor(image, camera, dcfm.config))
        masks.append(torch.from_numpy(label.astype(np.int64)) % classes)
    for model in (dcfm, per_frame):
        _fit(model, images, masks)
    assert isinstance(dcfm, DCFM) and isinstance(per_frame, PerFrame)
    return Networks(dcfm, per_frame, "random weights; classifiers fitted to the labels of a synthetic scene")


def _random_model(config: ModelConfig) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return build_model(config).eval()


def _sized(config: ModelConfig, size: tuple[int, int] | None) -> ModelConfig:
    return config if size is None else replace(config, input_height=size[0], input_width=size[1])


def labelled_scene(camera: tuple[int, int]) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """A few labelled images (H, W, 3) uint8 with their class ids (H, W)."""
    source = open_source("synthetic", height=camera[0], width=camera[1])
    for index in _FIT_FRAMES:
        frame = source.frame(index)
        assert frame.label is not None  # synthetic scenes are labelled
        yield frame.image, frame.label


def _tensor(image: np.ndarray, camera: tuple[int, int], config: ModelConfig) -> Tensor:
    size = input_size(camera, (config.input_height, config.input_width))
    return normalised(torch.from_numpy(network_input(Frame("", 0, image), size))[None], config.normalisation)


def _fit(model: Model, images: list[Tensor], masks: list[Tensor]) -> None:
    """Fit the last layer to class maps (h, w) of any size."""
    classifier = model.head.classifier if isinstance(model, DCFM) else model.classifier
    with torch.inference_mode():
        features = [_before_classifier(model, image)[0] for image in images]
    fit_classifier(classifier, zip(features, masks))


def fit_classifier(classifier: nn.Conv2d, examples: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Set a last layer: ridge regression from what it gets (C, h, w) to one-hot class maps (H, W) of any
    size."""
    square = mixed = torch.zeros(())
    with torch.inference_mode():
        for feature, mask in examples:
            rows = feature.flatten(1).double()
            small = cv2.resize(
                mask.numpy().astype(np.uint8),
                (feature.shape[2], feature.shape[1]),
                interpolation=cv2.INTER_NEAREST_EXACT,
            )
            wanted = torch.nn.functional.one_hot(
                torch.from_numpy(small).long().flatten(), classifier.out_channels
            )
            square, mixed = square + rows @ rows.T, mixed + rows @ wanted.double()
    ridge = _RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    weight = torch.linalg.solve(square + ridge, mixed).T
    with torch.no_grad():
        classifier.weight.copy_(weight[:, :, None, None])
        if classifier.bias is not None:
            classifier.bias.zero_()


def _before_classifier(model: Model, image: Tensor) -> Tensor:
    """The feature (1, C, h, w) that the last layer gets on a keyframe."""
    if isinstance(model, DCFM):
        own = model.features(image)
        return model.head.hidden(model.fuse(own.common, own.shallow, is_keyframe=True))
    return model.fusion(model.encoder.deep(model.encoder.shallow(image)))
