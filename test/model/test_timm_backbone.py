# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Backbones of timm: on a stand-in of it everywhere, on timm itself where it can be imported."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import CLASSES
from safetensors.torch import save_file
from torch import nn

from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.model.image import normalised
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.timm_backbone import timm_spec
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.training.start import load_encoder

SIZE = (64, 96)


def block(channels, out, stride=2):
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )


class Chain(nn.Module):
    """As timm's networks are: a stem, stages, some of them in a container, a classifier."""

    strides = (2, 4, 8, 16, 32)

    def __init__(self):
        super().__init__()
        self.stem, self.layer1 = block(3, 8), block(8, 12)
        self.stages = nn.Sequential(block(12, 16), block(16, 20), block(20, 24))
        self.head = nn.Linear(24, 5)
        modules = ("stem", "layer1", "stages.0", "stages.1", "stages.2")
        self.feature_info = [
            {"reduction": stride, "module": module, "num_chs": width}
            for stride, module, width in zip(self.strides, modules, (8, 12, 16, 20, 24))
        ]
        self.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.1)}

    def between(self, feature):
        return feature

    def forward(self, image):
        return self.head(self.stages(self.between(self.layer1(self.stem(image)))).mean((2, 3)))


class Skips(Chain):
    def between(self, feature):
        return feature * 2


class OneSize(Chain):
    def between(self, feature):
        return feature.view(1, 12, 56, 56)


class Dilated(Chain):
    strides = (2, 4, 8, 8, 8)


class Transposed(Chain):  # channels last, as of window transformers
    def between(self, feature):
        return feature.transpose(2, 3)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch, request):
    if "real" in request.node.name:
        yield
        return
    networks = {
        "chain": Chain,
        "skips": Skips,
        "one_size": OneSize,
        "dilated": Dilated,
        "transposed": Transposed,
    }

    def create_model(name):
        if name not in networks:
            raise RuntimeError(f"Unknown model ({name})")
        return networks[name]()

    timm_spec.cache_clear()
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    yield
    timm_spec.cache_clear()


def config(name, **settings) -> ModelConfig:
    return ModelConfig(
        f"timm/{name}", CLASSES, input_height=SIZE[0], input_width=SIZE[1], embed=16, **settings
    )


def test_the_parts_give_the_features_of_the_whole_and_the_model_takes_its_normalisation():
    torch.manual_seed(0)
    model = build_model(config("chain")).eval()
    assert (model.config.image_mean, model.config.image_std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert (model.config.shallow_channels, model.config.shallow_used) == (12, 6)
    encoder, image = model.encoder, torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        shallow = encoder.shallow(image)
        features = encoder.deep(shallow)
        assert [tuple(feature.shape[1:]) for feature in features] == [
            (12, 16, 24),
            (16, 8, 12),
            (20, 4, 6),
            (24, 2, 3),
        ]
        assert torch.equal(features[0], shallow)
        assert torch.equal(encoder.without_deep().shallow(image), shallow)
        staged = shallow
        for feature, stage in zip(features, encoder.deep_stages()):
            staged = stage(staged)
            assert torch.equal(staged, feature)


def test_weights_come_by_the_names_of_timm(tmp_path):
    torch.manual_seed(1)
    trained = Chain().eval()
    file = str(tmp_path / "model.safetensors")
    save_file(trained.state_dict(), file)
    model = build_model(config("chain")).eval()
    load_encoder(model, file)
    image = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(
            model.encoder.deep(model.encoder.shallow(image))[-1],
            trained.stages(trained.layer1(trained.stem(image))),
        )


def test_a_prefix_before_the_names_of_timm_is_removed_and_said(tmp_path):
    trained = Chain().bfloat16()
    tensors = {f"model.module.{name}": tensor for name, tensor in trained.state_dict().items()}
    file = str(tmp_path / "last.ckpt")
    torch.save({"state_dict": tensors | {"criterion.weight": torch.ones(2)}, "epoch": 3}, file)
    model, lines = build_model(config("chain")), []
    load_encoder(model, file, lines.append)
    assert torch.equal(model.encoder.blocks[0].weight, trained.stem[0].weight.float())
    assert [line.partition("last.ckpt: ")[2] for line in lines] == [
        "stripped the prefix 'model.module.'",
        "left out, as beside the model: criterion. (1 tensor)",
    ]
    twice = {f"{prefix}.{name}": t for name, t in trained.state_dict().items() for prefix in ("a", "b")}
    torch.save(twice, file)
    with pytest.raises(CheckpointError, match="last.ckpt holds 2 models, whose names begin with 'a.', 'b.'"):
        load_encoder(model, file)


def test_weights_of_another_network_are_listed(tmp_path):
    tensors = Chain().state_dict()
    del tensors["layer1.1.weight"]
    tensors["stem.0.weight"], tensors["stem.7.bias"] = torch.zeros(8, 3, 5, 5), torch.zeros(1)
    file = str(tmp_path / "other.safetensors")
    save_file(tensors, file)
    with pytest.raises(
        ConfigError,
        match=r"missing: layer1\.1\.weight; of another shape: stem\.0\.weight \(8, 3, 5, 5\) instead of "
        r"\(8, 3, 3, 3\); not in it: stem\.7\.bias",
    ):
        load_encoder(build_model(config("chain")), file)


@pytest.mark.parametrize(
    "name, message",
    (
        ("nothing", r"timm/nothing: timm cannot create it \(Unknown model \(nothing\)\)"),
        ("dilated", "no feature at stride 16, 32; use a convolutional one"),
        ("skips", "cannot be split at stride 8: its network is not a chain"),
        ("one_size", "timm/one_size cannot be split: .*any size"),
        ("transposed", "cannot be split at stride 8"),
    ),
)
def test_what_cannot_be_cut_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        build_model(config(name))


def test_without_timm_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"needs timm .*pip install timm torchvision"):
        config("chain")


@pytest.mark.parametrize(
    "name", ("resnet18", "mobilenetv3_small_100", "convnext_atto", "regnety_002", "efficientnet_lite0")
)
def test_real_networks_run_in_the_backends(name, tmp_path, monkeypatch):
    try:
        import timm  # noqa: F401
    except Exception as error:
        pytest.skip(f"timm cannot be imported here: {error}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = build_model(config(name)).eval()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    with torch.inference_mode():
        wanted = model.keyframe(normalised(torch.from_numpy(image)[None], model.config.normalisation))[
            0
        ].numpy()
    for backend_name in ("torch", "openvino"):
        backend = make_backend(backend_name, model, "cpu", "f32")
        shallow = backend.shallow(image)
        assert np.abs(backend.decode(shallow, [backend.deep(shallow)]) - wanted).max() <= 1e-4
