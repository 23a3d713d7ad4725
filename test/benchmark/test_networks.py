# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both networks of a comparison, and classifiers that give regions."""

import numpy as np
import pytest
import torch
from helpers import CLASSES, tiny_model, write_tiny_model

from dcfm_ros.benchmark.border import border_share
from dcfm_ros.benchmark.networks import load_networks, random_networks
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.image import normalised
from dcfm_ros.model.normalisation import IMAGENET
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.sources.open import open_source

CAMERA = (96, 128)


def picture():
    # not one of those that are fitted to
    frame = open_source("synthetic", height=CAMERA[0], width=CAMERA[1]).frame(5)
    return normalised(torch.from_numpy(frame.image)[None], IMAGENET), frame.label


def keyframe(model, image):
    with torch.inference_mode():
        return model.keyframe(image)[0].numpy()


def same_backbone(networks):
    parts = [
        {**network.encoder.state_dict(), **network.fusion.state_dict()}
        for network in (networks.dcfm, networks.per_frame)
    ]
    return parts[0].keys() == parts[1].keys() and all(
        torch.equal(parts[0][key], parts[1][key]) for key in parts[0]
    )


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mit_b0", "resnet18"])
def test_random_networks_have_regions(backbone):
    networks = random_networks(backbone, 124, CAMERA, CAMERA)
    assert (
        isinstance(networks.dcfm, DCFM)
        and isinstance(networks.per_frame, PerFrame)
        and same_backbone(networks)
    )
    assert not networks.dcfm.training and networks.weights.startswith("random weights")
    image, label = picture()
    for network in (networks.dcfm, networks.per_frame):
        logits = keyframe(network, image)
        assert len(logits) == 124 and 0.01 < border_share(logits) < 0.45
        step = CAMERA[0] // logits.shape[1]
        assert (logits.argmax(0) == label[step // 2 :: step, step // 2 :: step]).mean() > 0.5


@pytest.mark.slow
def test_random_networks_are_the_same_each_time_and_spare_the_generator():
    torch.manual_seed(3)
    first, drawn = random_networks("mit_b0", 4, CAMERA, CAMERA), torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), drawn)
    second = random_networks("mit_b0", 4, CAMERA, CAMERA)
    image, _ = picture()
    assert np.array_equal(keyframe(first.dcfm, image), keyframe(second.dcfm, image))


@pytest.mark.slow
@pytest.mark.parametrize("architecture, other", [("dcfm", "per_frame"), ("per_frame", "dcfm")])
@pytest.mark.parametrize(
    "changes",
    [{}, {"head_layers": 1}, {"backbone": "resnet18", "common_width": 8}],
    ids=["mit", "two layers", "resnet"],
)
def test_the_counterpart_has_the_models_backbone_and_nearly_its_masks(tmp_path, architecture, other, changes):
    folder = str(write_tiny_model(tmp_path / "model", architecture=architecture, **changes))
    networks = load_networks(folder, CAMERA, CAMERA)
    own, made = getattr(networks, architecture), getattr(networks, other)
    assert made.config.architecture == other and same_backbone(networks) and folder in networks.weights
    image, _ = picture()
    wanted = keyframe(own, image)
    # is left as it was
    assert np.array_equal(wanted, keyframe(tiny_model(architecture=architecture, **changes), image))
    found = keyframe(made, image).argmax(0)
    most = np.bincount(wanted.argmax(0).ravel()).max() / found.size
    assert (found == wanted.argmax(0)).mean() >= most - 0.02  # never worse than the commonest class alone


@pytest.mark.slow
def test_another_size_than_the_models(tmp_path):
    networks = load_networks(str(write_tiny_model(tmp_path / "model")), CAMERA, (128, 160))
    for config in (networks.dcfm.config, networks.per_frame.config):
        assert (config.input_height, config.input_width) == (128, 160) and config.classes == CLASSES[:4]


def test_ablations_are_refused(tmp_path):
    folder = str(write_tiny_model(tmp_path / "model", shallow_on="key"))
    with pytest.raises(ValueError, match="shallow_on is 'key': such an ablation can only be evaluated"):
        load_networks(folder, CAMERA)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(ConfigError, match="unknown backbone 'mit_b9': use one of mit_b0"):
        random_networks("mit_b9", 4, CAMERA, CAMERA)
