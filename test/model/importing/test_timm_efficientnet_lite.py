# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite under timm's names: taken where padding and epsilon are those of this package."""

import json

import pytest
import torch
from importing_helpers import efficientnet_lite, per_frame, written
from safetensors.torch import save_file

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.model.model_yaml import untrained_parts

DEPTHS = {"efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1), "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1)}


def in_timm_s_names(backbone="efficientnet_lite0"):
    """From the names of the package on PyPI: blocks are counted by stage, norms by their order in a block."""
    places = [(stage, at) for stage, depth in enumerate(DEPTHS[backbone]) for at in range(depth)]
    found = {}
    for name, tensor in efficientnet_lite(per_frame(backbone=backbone, embed=16)).items():
        if not name.startswith("_blocks."):
            for old, new in (
                ("_conv_stem.", "conv_stem."),
                ("_bn0.", "bn1."),
                ("_conv_head.", "conv_head."),
                ("_bn1.", "bn2."),
                ("_fc.", "classifier."),
            ):
                if name.startswith(old):
                    found[new + name.removeprefix(old)] = tensor
            continue
        _, number, module, kind = name.split(".")
        stage, at = places[int(number)]
        if stage == 0:  # depth-wise first, and a point-wise one
            module = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}[
                module
            ]
        else:
            module = {
                "_expand_conv": "conv_pw",
                "_bn0": "bn1",
                "_depthwise_conv": "conv_dw",
                "_bn1": "bn2",
                "_project_conv": "conv_pwl",
                "_bn2": "bn3",
            }[module]
        found[f"blocks.{stage}.{at}.{module}.{kind}"] = tensor
    return found


@pytest.mark.slow
@pytest.mark.parametrize("backbone", DEPTHS)
def test_tensorflow_s_ones_are_the_encoder(tmp_path, backbone):
    path = written(tmp_path / f"tf_{backbone}-0aa007d2.pth", in_timm_s_names(backbone))
    found = import_model([path], tmp_path / "model")
    assert found.format == "timm_efficientnet_lite" and found.model.config.backbone == backbone
    assert untrained_parts(tmp_path / "model") == ("fusion", "classifier")
    wanted = per_frame(backbone=backbone, embed=16).encoder.state_dict()
    for name, tensor in load_model(tmp_path / "model").encoder.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, wanted[name]), name


@pytest.mark.slow
def test_the_config_beside_it_says_which_it_is(tmp_path):
    save_file(in_timm_s_names(), tmp_path / "model.safetensors")

    def says(architecture):
        (tmp_path / "config.json").write_text(json.dumps({"architecture": architecture}))
        return read_model([tmp_path])

    assert says("tf_efficientnet_lite0").model.config.backbone == "efficientnet_lite0"
    with pytest.raises(
        CheckpointError, match="is timm's efficientnet_lite0; .*timm/efficientnet_lite0, whose"
    ):
        says("efficientnet_lite0")
    with pytest.raises(CheckpointError, match="is timm's mobilenetv2_100; .*timm/mobilenetv2_100, whose"):
        says("mobilenetv2_100")


@pytest.mark.parametrize(
    "name, message",
    [
        ("efficientnet_lite0_ra-37913777.pth", "is timm's efficientnet_lite0; .* padding and the epsilon"),
        ("best.pth", "its own name is not .*If it is one, name the file so, as in tf_efficientnet_lite0.pth"),
    ],
)
def test_what_may_pad_otherwise_is_refused(tmp_path, name, message):
    with pytest.raises(CheckpointError, match=message):
        read_model([written(tmp_path / name, in_timm_s_names())])


@pytest.mark.slow
def test_what_is_missing_or_unexpected_is_listed(tmp_path):
    tensors = in_timm_s_names()
    lost = {name: tensor for name, tensor in tensors.items() if not name.startswith("blocks.6.0.")}
    with pytest.raises(CheckpointError, match=r"does not fit efficientnet_lite0: \d+ missing: blocks"):
        read_model([written(tmp_path / "tf_efficientnet_lite0.pth", lost)])
    more = tensors | {"blocks.3.0.se.conv_reduce.weight": torch.ones(4, 144, 1, 1)}
    with pytest.raises(CheckpointError, match="1 unexpected: blocks.3.0.se.conv_reduce.weight"):
        read_model([written(tmp_path / "tf_efficientnet_lite0.pth", more)])
