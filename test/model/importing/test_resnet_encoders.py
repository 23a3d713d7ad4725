# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet encoders of ResNet under the names of torchvision, timm and semseg: the features are those of the
network that their description says, and other variants are named."""

import json

import pytest
import torch
import torch.nn.functional as F
from helpers import tiny_config
from importing_helpers import image, written
from safetensors.torch import save_file

from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.model.model_yaml import untrained_parts
from dcfm_ros.training.start import load_encoder

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
TIMM, SEMSEG = (
    (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1")),
    (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")),
)


def tensors(layers=18, stem=None, widths=(64, 64, 128), averaged=False, inner=64):
    """Names and shapes of a ResNet with random values.

    stem: names of three convolutions and norms; None: torchvision's one of 7x7
    """
    generator, found = torch.Generator().manual_seed(2), {}

    def conv_norm(conv, norm, out_channels, in_channels, kernel):
        fan_in = in_channels * kernel * kernel
        shape = (out_channels, in_channels, kernel, kernel)
        found[f"{conv}.weight"] = torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5
        for part, value in (("weight", 0.7), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 0.7)):
            found[f"{norm}.{part}"] = value + 0.3 * torch.rand(out_channels, generator=generator)
        found[f"{norm}.num_batches_tracked"] = torch.tensor(5)

    channels = 3
    for (conv, norm), width in zip(stem or (("conv1", "bn1"),), widths if stem else (64,)):
        conv_norm(conv, norm, width, channels, 3 if stem else 7)
        channels = width
    for stage, depth in enumerate(DEPTHS[layers]):
        for number in range(depth):
            at, narrow = f"layer{stage + 1}.{number}", inner * 2**stage
            if layers < 50:
                width = narrow
                conv_norm(f"{at}.conv1", f"{at}.bn1", width, channels, 3)
                conv_norm(f"{at}.conv2", f"{at}.bn2", width, width, 3)
            else:
                width = 256 * 2**stage
                conv_norm(f"{at}.conv1", f"{at}.bn1", narrow, channels, 1)
                conv_norm(f"{at}.conv2", f"{at}.bn2", narrow, narrow, 3)
                conv_norm(f"{at}.conv3", f"{at}.bn3", width, narrow, 1)
            if number == 0 and (stage or layers >= 50):
                first = 1 if averaged else 0
                conv_norm(f"{at}.downsample.{first}", f"{at}.downsample.{first + 1}", width, channels, 1)
            channels = width
    return found | {"fc.weight": torch.ones(1000, channels), "fc.bias": torch.ones(1000)}


def features(given, picture, stem=None):
    """Outputs of the four stages; stages 3 and 4 keep stride 8 by dilations 2 and 4, as in PSPNet."""

    def conv_norm(feature, conv, norm, **how):
        mixed = F.conv2d(feature, given[f"{conv}.weight"], **how)
        return F.batch_norm(
            mixed, *(given[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        )

    feature = picture
    for number, (conv, norm) in enumerate(stem or (("conv1", "bn1"),)):
        how = {"stride": 1 if number else 2, "padding": 1 if stem else 3}
        feature = F.relu(conv_norm(feature, conv, norm, **how))
    feature = F.max_pool2d(feature, 3, 2, 1)
    for stage in range(4):
        dilation = (1, 1, 2, 4)[stage]
        number = 0
        while (at := f"layer{stage + 1}.{number}") + ".conv1.weight" in given:
            stride = 2 if stage == 1 and number == 0 else 1
            dilated = {"padding": dilation, "dilation": dilation}
            if f"{at}.conv3.weight" in given:
                mixed = F.relu(conv_norm(feature, f"{at}.conv1", f"{at}.bn1"))
                mixed = F.relu(conv_norm(mixed, f"{at}.conv2", f"{at}.bn2", stride=stride, **dilated))
                mixed = conv_norm(mixed, f"{at}.conv3", f"{at}.bn3")
            else:
                mixed = F.relu(conv_norm(feature, f"{at}.conv1", f"{at}.bn1", stride=stride, padding=1))
                mixed = conv_norm(mixed, f"{at}.conv2", f"{at}.bn2", **dilated)
            if f"{at}.downsample.0.weight" in given:
                feature = conv_norm(feature, f"{at}.downsample.0", f"{at}.downsample.1", stride=stride)
            feature, number = F.relu(mixed + feature), number + 1
        yield feature


@pytest.mark.slow
@pytest.mark.parametrize("layers, stem", [(18, None), (50, TIMM), (50, SEMSEG), (101, TIMM)])
def test_the_features_are_those_of_the_description(tmp_path, layers, stem):
    given, picture = tensors(layers, stem), image()
    found = import_model([written(tmp_path / "resnet.pth", given)], tmp_path / "model")
    assert found.format == "resnet" and found.ignored == ("fc.bias", "fc.weight")
    assert untrained_parts(tmp_path / "model") == ("classifier",)
    encoder = found.model.encoder
    with torch.inference_mode():
        shallow = encoder.shallow(picture)
        ours, wanted = [shallow, *encoder.deep(shallow)], list(features(given, picture, stem))
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ("", "backbone."))
@pytest.mark.parametrize("backbone", ("resnet18", "pspnet18"))
def test_training_starts_from_it_with_and_without_pyramid(tmp_path, backbone, prefix):
    given = {prefix + name: tensor for name, tensor in tensors().items()} | {
        "auxiliary.weight": torch.ones(1)
    }
    if not prefix:
        del given["auxiliary.weight"]
    model = build_model(tiny_config(backbone=backbone))
    lines = []
    load_encoder(model, str(written(tmp_path / "resnet18.pth", given)), lines.append)
    wanted = read_model([tmp_path / "resnet18.pth"]).model.encoder.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in model.encoder.state_dict().items())
    assert torch.equal(model.encoder.layer0[0].weight, tensors()["conv1.weight"])
    assert [line.partition("resnet18.pth: ")[2] for line in lines] == (
        ["stripped the prefix 'backbone.'", "left out, as beside the model: auxiliary. (1 tensor)"]
        if prefix
        else []
    )


@pytest.mark.slow
def test_other_depths_are_told_from_the_configuration(tmp_path):
    file = str(written(tmp_path / "resnet18.pth", tensors()))
    with pytest.raises(ConfigError, match="resnet18.pth is resnet18, the configuration has pspnet50"):
        load_encoder(build_model(tiny_config(backbone="pspnet50")), file)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given, message",
    [
        (
            lambda: tensors(50),
            r"is resnet50: its first layer is one of 7x7.*train with the backbone timm/resnet50,",
        ),
        (
            lambda: tensors(50, TIMM, (32, 32, 64), averaged=True),
            "is resnet50d: its first layer is three convolutions of 32, 32, 64, and average pooling in its "
            "shortcuts.*timm/resnet50d, whose --init-encoder takes this file",
        ),
        (lambda: tensors(50, TIMM, (32, 32, 64)), "is resnet50c: .* of 32, 32, 64[.]"),
        (lambda: tensors(34), "is resnet34: .* timm/resnet34,"),
        (lambda: tensors(50, inner=128), "is another ResNet: .*timm/NAME"),  # Wide ResNet
        (
            lambda: tensors(50, TIMM) | {"layer1.0.se.fc1.weight": torch.ones(8, 64, 1, 1)},
            "is another ResNet: its first layer is three convolutions of 64, 64, 128",
        ),
        (
            lambda: {name: tensor for name, tensor in tensors().items() if name != "layer3.1.bn2.bias"},
            "does not fit resnet18: 1 missing: layer3.1.bn2.bias; 0 unexpected",
        ),
    ],
)
def test_other_variants_are_named(tmp_path, given, message):
    with pytest.raises(CheckpointError, match=message):
        read_model([written(tmp_path / "resnet.pth", given())])


@pytest.mark.slow
def test_timm_s_config_tells_the_normalisation(tmp_path):
    save_file(tensors(), tmp_path / "model.safetensors")
    trained = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.5]}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": trained}))
    config = read_model([tmp_path]).model.config
    assert (config.image_mean, config.image_std) == ((0.5, 0.4, 0.3), (0.2, 0.25, 0.5))
