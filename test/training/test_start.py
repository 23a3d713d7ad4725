# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where training starts from: fresh weights, or another model's as far as they fit, and what is told of the
rest."""

import json
from dataclasses import replace

import pytest
import torch
import yaml
from helpers import CLASSES, tiny_config, write_tiny_model
from importing_helpers import efficientnet_lite, hugging_face, per_frame, written
from safetensors.torch import save_file

from dcfm_ros import cli
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import load_model
from dcfm_ros.training.checkpoint import plain_config
from dcfm_ros.training.start import fresh_model, new_model


@pytest.fixture
def started(train_config, tmp_path):
    """(weights at the start, weights of the model it starts from, weights of a fresh one, what is told)"""

    def start(model, origin, parts="all"):
        folder, told = write_tiny_model(tmp_path / "origin", seed=5, **origin), []
        config = train_config(model=replace(tiny_config(), **model), init=str(folder), init_parts=parts)
        models = new_model(config, told.append), load_model(folder), fresh_model(config)
        return *(model.state_dict() for model in models), told

    return start


def equal(one, other, prefix=""):
    names = [name for name in one if name.startswith(prefix) and not name.endswith("num_batches_tracked")]
    assert names
    return all(torch.equal(one[name], other[name]) for name in names)


def test_all_of_a_model_alike(started):
    found, origin, _, told = started({}, {})
    assert equal(found, origin) and told == []


def test_classes_with_the_same_name_keep_their_weights(started):
    """Tuned to the classes car, pedestrian and sky, in this order; the origin has sky, road, tree and car."""
    found, origin, fresh, told = started({"classes": (CLASSES[3], CLASSES[4], CLASSES[0])}, {})
    rows, before = found["head.classifier.weight"], origin["head.classifier.weight"]
    assert torch.equal(rows[0], before[3]) and torch.equal(rows[2], before[0])
    assert torch.equal(rows[1], fresh["head.classifier.weight"][1]) and equal(found, origin, "ffm.")
    assert (
        len(told) == 1
        and "origin has no weights, or not all, for head.classifier.weight; these start with random weights"
        in told[0]
    )


def test_the_backbone_alone(started):
    found, origin, fresh, told = started({}, {}, "backbone")
    assert equal(found, origin, "encoder.") and equal(found, origin, "fusion.")
    assert equal(found, fresh, "ffm.") and equal(found, fresh, "head.")
    assert (
        "for ffm.conv.weight, ffm.conv.bias, ffm.norm.weight and 4 more; these start with random weights"
        in told[0]
    )


@pytest.mark.slow
def test_from_a_per_frame_network(started):
    found, origin, fresh, told = started({}, {"architecture": "per_frame"})
    assert (
        equal(found, origin, "encoder.") and equal(found, origin, "fusion.") and equal(found, fresh, "ffm.")
    )
    assert "these start with random weights" in told[0]


@pytest.mark.slow
def test_from_a_checkpoint_of_transformers(train_config, tmp_path, capsys):
    """Through the command line: its LayerNorms have eps 1e-5, which the configuration must say."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    save_file(hugging_face(per_frame(block_eps=1e-5)), theirs / "model.safetensors")
    (theirs / "config.json").write_text(
        json.dumps(
            {
                "model_type": "segformer",
                "hidden_act": "gelu",
                "id2label": {str(i): c.name for i, c in enumerate(CLASSES[:4])},
            }
        )
    )
    assert cli.main(["import", str(theirs), "--out", str(tmp_path / "imported")]) == 0
    (tmp_path / "train.yaml").write_text(
        yaml.safe_dump(plain_config(train_config(iterations=1, rate=0.0, class_balance=0)))
    )
    command = [
        "train",
        str(tmp_path / "train.yaml"),
        "--init",
        str(tmp_path / "imported"),
        "--workers",
        "0",
        "--device",
        "cpu",
    ]
    assert cli.main([*command, "--out", str(tmp_path / "refused")]) == 2
    assert "init: the model has block_eps 1e-05, the configuration block_eps 1e-06" in capsys.readouterr().err
    assert cli.main([*command, "--out", str(tmp_path / "run"), "--set", "model.block_eps=1e-5"]) == 0, (
        capsys.readouterr()
    )
    found, origin = (load_model(path) for path in (tmp_path / "run" / "last", tmp_path / "imported"))
    assert found.config.block_eps == 1e-5 and equal(found.encoder.state_dict(), origin.encoder.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize(
    "model, message",
    [
        ({"backbone": "mit_b1"}, "init: a mit_b0 model cannot start a mit_b1 one; use the same backbone"),
        (
            {"block_eps": 1e-5},
            "init: the model has block_eps 1e-06, the configuration block_eps 1e-05; give the configuration",
        ),
        (
            {"image_mean": (0.5, 0.5, 0.5)},
            r"image_mean \(0.485, 0.456, 0.406\), the configuration image_mean \(0.5, 0.5, 0.5\)",
        ),
        (
            {"embed": 64},
            r"init: fusion.\S+ is \(256, 32\) in the model and \(64, 32\) in the configuration; use the same "
            r"embed",
        ),
    ],
)
def test_models_that_do_not_fit_are_named(started, model, message):
    with pytest.raises(ConfigError, match=message):
        started(model, {})


def test_a_model_that_is_not_there_is_named(train_config):
    with pytest.raises(
        RuntimeError, match="no model 'nowhere': give a folder that contains model.yaml, or a built-in model"
    ):
        new_model(replace(train_config(), init="nowhere"))


def test_fresh_classifiers(train_config):
    """DCFM's classifier sees features of unit length, that of a per-frame network does not."""
    assert fresh_model(train_config(head_std=0.3)).head.classifier.weight.std().item() == pytest.approx(
        0.3, rel=0.1
    )
    per_frame = fresh_model(train_config(model=tiny_config(architecture="per_frame")))
    assert per_frame.classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert (per_frame.classifier.bias == 0).all()


LITE = {"backbone": "efficientnet_lite0", "embed": 16}


def test_from_a_pretrained_encoder(train_config, tmp_path):
    """The encoder is the file's, all else as fresh as without it."""
    origin = per_frame(seed=3, **LITE)
    file = written(tmp_path / "lite0.pth", efficientnet_lite(origin))
    config = train_config(model=tiny_config(**LITE), init_encoder=str(file))
    found, fresh = new_model(config).state_dict(), fresh_model(config).state_dict()
    assert equal(found, origin.state_dict(), "encoder.") and not equal(fresh, origin.state_dict(), "encoder.")
    for part in ("fusion.", "ffm.", "head."):
        assert equal(found, fresh, part)


@pytest.mark.parametrize(
    "backbone, message",
    [
        (
            "efficientnet_lite2",
            "init_encoder: .*lite0.pth is efficientnet_lite0, the configuration has efficientnet_lite2",
        ),
        ("mit_b0", "init_encoder: .*lite0.pth is efficientnet_lite0, the configuration has mit_b0"),
    ],
)
def test_an_encoder_of_another_backbone_is_named(train_config, tmp_path, backbone, message):
    file = written(tmp_path / "lite0.pth", efficientnet_lite(per_frame(**LITE)))
    with pytest.raises(ConfigError, match=message):
        new_model(train_config(model=tiny_config(backbone=backbone, embed=16), init_encoder=str(file)))


def test_one_start_only(train_config):
    with pytest.raises(ConfigError, match="init a and init_encoder b: give one of them"):
        train_config(init="a", init_encoder="b")
