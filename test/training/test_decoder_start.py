# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DCFM model that starts with the masks of a per-frame one."""

import pytest
import torch
from helpers import tiny_config, tiny_model, write_tiny_model

from dcfm_ros.model.folder import save_model
from dcfm_ros.training.start import new_model


@pytest.fixture
def images():
    return [torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(number)) for number in range(3)]


@pytest.fixture
def started(train_config, tmp_path, images):
    """`started(bias=0.0, **model)`: a per-frame model, and DCFM in evaluation mode that starts from it."""

    def make(bias=0.0, classes=4, **model):
        folder = tmp_path / "origin"
        origin = tiny_model(architecture="per_frame")
        with torch.no_grad():
            origin.classifier.bias.mul_(bias)
        save_model(folder, origin)
        told: list[str] = []
        config = train_config(model=tiny_config(classes, **model), init=str(folder), init_parts="masks")
        return origin, new_model(config, told.append, lambda: images).eval(), told

    return make


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"common_width": 64},
        {"common_width": 32},  # one channel has no partner
        {"common_width": 9},  # four classes need no more
        {"head_layers": 1},
        {"common_width": 32, "head_layers": 1, "shallow_used": 5},
    ],
)
def test_keyframes_have_the_masks_of_the_per_frame_model(started, images, settings):
    origin, model, told = started(**settings)
    unseen = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        for image in (images[0], unseen):
            expected, found = origin.keyframe(image), model.keyframe(image)
            alike = torch.cosine_similarity(expected, found, dim=1)
            assert alike.min() > 0.99
            assert (expected.argmax(1) == found.argmax(1)).float().mean() > 0.99
            assert float(found.norm(dim=1).mean() / expected.norm(dim=1).mean()) == pytest.approx(1, abs=0.15)
    assert told == []


def test_the_offsets_of_classes_are_kept(started, images):
    origin, model, _ = started(bias=1.0, common_width=64)
    with torch.no_grad():
        same = origin.keyframe(images[0]).argmax(1) == model.keyframe(images[0]).argmax(1)
    assert same.float().mean() > 0.98


def test_the_shallow_feature_counts_from_the_first_step_on(started, images):
    _, model, _ = started(common_width=64)
    with torch.no_grad():
        common = model.features(images[0]).common
        first, second = (model.nonkey(image, common) for image in images[:2])
    torch.testing.assert_close(first, second)  # not yet
    model.train()
    model.nonkey(images[0], common).square().mean().backward()
    assert model.ffm.conv.weight.grad[:, 64:].abs().sum() > 0


def test_classes_that_the_per_frame_model_lacks_start_fresh_and_are_named(started, images):
    origin, model, told = started(classes=5)
    assert told == [f"init: {told[0].split()[1]} has no pedestrian; these classes start with random weights"]
    with torch.no_grad():
        expected, found = origin.keyframe(images[0]), model.keyframe(images[0])
    assert torch.cosine_similarity(expected, found[:, :4], dim=1).min() > 0.99
    assert model.head.classifier.weight[4].abs().sum() > 0


def test_an_origin_of_dcfm_is_taken_as_a_whole(train_config, tmp_path):
    folder = write_tiny_model(tmp_path / "dcfm", seed=5)
    config = train_config(init=str(folder), init_parts="masks")
    model = new_model(config).eval()
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model.keyframe(image), tiny_model(seed=5).keyframe(image))
