# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folding a model for running: an exact rewrite which leaves the model alone."""

import pytest
import torch
from helpers import tiny_config, tiny_model

from dcfm_ros.model.build import build_model
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.image import normalised
from dcfm_ros.model.inference import fold
from dcfm_ros.model.normalisation import IMAGENET


def pictures(height, width):
    return torch.randint(
        0, 256, (3, 1, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(4)
    )


@pytest.mark.slow
@pytest.mark.parametrize("height, width", ((64, 96), (50, 70)))
@pytest.mark.parametrize(
    "changes",
    (
        {},
        {"head_layers": 1},
        {"shallow_used": 32, "embed": 48},
        {"common_width": 40},
        {"backbone": "efficientnet_lite0", "embed": 32, "shallow_used": 24},
        {"backbone": "resnet18"},
        {"backbone": "resnet18", "common_width": 40, "head_layers": 1},
        {"backbone": "pspnet18", "common_width": 40},
        {"backbone": "pspnet18", "common_width": 40, "head_layers": 1, "shallow_used": 9},
    ),
)
def test_folded_is_the_training_form(changes, height, width):
    model = tiny_model(**changes)
    parts, raw = fold(model), pictures(height, width)
    image = [normalised(frame, model.config.normalisation) for frame in raw]
    with torch.inference_mode():
        shallow = [parts.shallow(frame) for frame in raw]
        common = [parts.deep(feature) for feature in shallow[:2]]
        kept = [model.features(frame).common for frame in image[:2]]
        for found, expected in (
            (shallow[2], model.shallow(image[2])),
            (parts.deep.feature(shallow[0]), model.deep(shallow[0])),
            (parts.decoder(shallow[0], common[0]), model.keyframe(image[0])),
            (parts.decoder(shallow[2], common[0]), model.nonkey(image[2], kept[0])),
            (
                parts.decoder(shallow[2], common[0]) + parts.decoder(shallow[2], common[1]),
                model.nonkey(image[2], *kept),
            ),
        ):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
        assert resize(parts.decoder(shallow[0], common[0]), (height, width)).shape == model(image[0]).shape


@pytest.mark.slow
@pytest.mark.parametrize("height, width", ((64, 96), (50, 70)))
@pytest.mark.parametrize("backbone", ("mit_b0", "resnet18", "pspnet18"))
def test_a_folded_per_frame_network_gives_its_logits(backbone, height, width):
    model = tiny_model(architecture="per_frame", backbone=backbone)
    parts, raw = fold(model), pictures(height, width)
    with torch.inference_mode():
        expected = model.keyframe(normalised(raw[0], model.config.normalisation))
        logits = parts.deep(parts.shallow(raw[0]))
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=2e-5)
        for frame in raw[:2]:  # whatever the frame
            assert torch.equal(parts.decoder(parts.shallow(frame), logits), logits)


@pytest.mark.parametrize("backbone, stride", (("mit_b0", 4), ("resnet18", 8)))
def test_a_common_contribution_of_another_size_is_met(backbone, stride):
    """S is normalised first, then resized."""
    model = tiny_model(backbone=backbone, common_width=40)
    parts, small, large = fold(model), pictures(64, 96)[0], pictures(96, 128)[1]
    with torch.inference_mode():
        found = parts.decoder(parts.shallow(large), parts.deep(parts.shallow(small)))
        norm = model.config.normalisation
        expected = model.nonkey(normalised(large, norm), model.features(normalised(small, norm)).common)
    assert found.shape == (1, 4, 64 // stride, 96 // stride)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    "changes",
    ({"head_layers": 1}, {"backbone": "pspnet18", "common_width": 40}, {"architecture": "per_frame"}),
)
def test_everything_is_on_the_models_device(changes):
    with torch.device("meta"):
        model = build_model(tiny_config(**changes)).eval()
    for part in fold(model):
        assert all(tensor.is_meta for tensor in (*part.parameters(), *part.buffers()))


def test_bytes_and_floats_give_the_same_feature():
    parts, raw = fold(tiny_model()), pictures(64, 96)[0]
    with torch.inference_mode():
        assert torch.equal(parts.shallow(raw), parts.shallow(raw.float()))


def test_a_model_in_training_is_refused():
    with pytest.raises(ValueError, match=r"evaluation mode: call model.eval\(\)"):
        fold(tiny_model().train())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    ({}, {"head_layers": 1}, {"backbone": "pspnet18", "common_width": 40}, {"architecture": "per_frame"}),
)
def test_the_model_stays_as_it_was_and_shares_nothing(changes):
    model = tiny_model(**changes)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    parts = fold(model)
    for part in parts:
        assert not part.training and not any(parameter.requires_grad for parameter in part.parameters())
        with torch.no_grad():
            for parameter in part.parameters():
                parameter.zero_()
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[key], before[key]) for key in before)
    assert not model.training and all(parameter.requires_grad for parameter in model.parameters())


def test_each_part_holds_only_what_it_runs():
    parts = fold(tiny_model())
    size = [sum(parameter.numel() for parameter in part.parameters()) for part in parts]
    assert size[0] < 100_000 and size[2] < 10_000 < 3_000_000 < size[1]


def test_normalisation_of_pixels():
    image = torch.tensor([[[[0, 0, 0], [255, 255, 255]]]], dtype=torch.uint8)
    black, white = normalised(image, IMAGENET)[0, :, 0].T
    torch.testing.assert_close(black, torch.tensor([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]))
    torch.testing.assert_close(white, torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]))
    assert normalised(torch.zeros(2, 4, 6, 3, dtype=torch.uint8), IMAGENET).is_contiguous(
        memory_format=torch.channels_last
    )
