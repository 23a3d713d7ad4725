# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NVlabs' SegFormer checkpoints: segmentation models become per-frame models, backbones are no more than
that."""

import logging

import pytest
import torch
from importing_helpers import FOUR, logits, nvlabs_backbone, nvlabs_segmentation, per_frame, written

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.model.model_yaml import untrained_parts


@pytest.mark.slow
@pytest.mark.parametrize("embed", (256, 768))
def test_a_segmentation_model_gives_equal_logits(tmp_path, embed):
    model = per_frame(embed=embed)
    path = written(
        tmp_path / "segformer.b0.pth",
        {
            "meta": {},
            "state_dict": nvlabs_segmentation(model),
            "optimizer": {"state": {}, "param_groups": [{"lr": 6e-5}]},
        },
    )
    imported = import_model([path], tmp_path / "model")
    ours = load_model(tmp_path / "model")
    assert torch.equal(logits(ours), logits(model))
    config = ours.config
    assert (config.architecture, config.backbone, config.embed) == ("per_frame", "mit_b0", embed)
    assert (config.block_eps, config.inner_eps) == (1e-6, 1e-5)
    assert imported.format == "nvlabs" and untrained_parts(tmp_path / "model") == ()
    assert imported.ignored == ("decode_head.conv_seg.bias", "decode_head.conv_seg.weight")
    assert config.class_names == ("class 0", "class 1", "class 2", "class 3")


@pytest.mark.slow
def test_classes_and_colours_that_mmsegmentation_noted_are_taken(tmp_path):
    state = nvlabs_segmentation(per_frame())
    names = tuple(row.name for row in FOUR)

    def read(**meta):
        return read_model([written(tmp_path / "a.pth", {"meta": meta, "state_dict": state})])

    noted = read(CLASSES=names, PALETTE=[list(row.color) for row in FOUR])
    assert noted.model.config.classes == FOUR and noted.class_names_from == "the checkpoint"
    assert read(CLASSES=names, PALETTE=None).model.config.class_names == names
    for palette in ([[0, 0, 0]], [[0, 0]] * 4, [[0, 0, 300]] * 4, 5):
        with pytest.raises(
            CheckpointError, match="its CLASSES and PALETTE are no class table .*give --classes"
        ):
            read(CLASSES=names, PALETTE=palette)
    with pytest.raises(CheckpointError, match="has 4 classes, but the checkpoint names 3"):
        read(CLASSES=names[:3])
    table = read_model([tmp_path / "a.pth"], classes=FOUR)  # what is given comes first
    assert table.model.config.classes == FOUR and table.class_names_from == "--classes"


def test_a_backbone_alone_is_imported_as_just_that(tmp_path, caplog):
    model = per_frame()
    path = written(tmp_path / "mit_b0.pth", nvlabs_backbone(model))
    imported = import_model([path], tmp_path / "model")
    assert imported.ignored == ("head.bias", "head.weight") and imported.untrained == ("fusion", "classifier")
    assert untrained_parts(tmp_path / "model") == ("fusion", "classifier")
    assert "start training from this model" in str(imported)

    with caplog.at_level(logging.WARNING):
        ours = load_model(tmp_path / "model")
    assert "model is untrained in fusion and classifier: its masks are meaningless" in caplog.text
    assert all(
        torch.equal(tensor, model.encoder.state_dict()[name])
        for name, tensor in ours.encoder.state_dict().items()
    )
    assert ours.config.class_names == ("untrained",)


def test_the_same_backbone_always_gives_the_same_folder(tmp_path):
    path = written(tmp_path / "mit_b0.pth", nvlabs_backbone(per_frame()))
    torch.manual_seed(1)
    one = read_model([path]).model.state_dict()
    state = torch.get_rng_state()
    torch.manual_seed(2)
    other = read_model([path]).model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())  # and leaves the caller's random numbers alone


def test_a_backbone_may_get_a_class_list(tmp_path):
    path = written(tmp_path / "mit_b0.pth", nvlabs_backbone(per_frame()))
    assert read_model([path], classes=FOUR).model.config.classes == FOUR


def test_trained_models_load_without_a_warning(tmp_path, caplog):
    import_model([written(tmp_path / "a.pth", nvlabs_segmentation(per_frame()))], tmp_path / "model")
    with caplog.at_level(logging.WARNING):
        load_model(tmp_path / "model")
    assert caplog.text == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda state: state.pop("decode_head.linear_pred.weight"), "lacks decode_head.linear_pred.weight"),
        (
            lambda state: state.pop("decode_head.linear_fuse.conv.weight"),
            "lacks decode_head.linear_fuse.conv.weight",
        ),
        (
            lambda state: state.pop("decode_head.linear_c2.proj.bias"),
            "1 missing: decode_head.linear_c2.proj.bias; 0 unexpected",
        ),
        (
            lambda state: state.update({"auxiliary_head.conv.weight": torch.ones(1)}),
            "0 missing: none; 1 unexpected: auxil",
        ),
        (
            lambda state: state.update({"backbone.head.weight": torch.ones(1)}),
            "1 unexpected: backbone.head.weight",
        ),
        (
            lambda state: state.update({"decode_head.linear_c1.proj.weight": torch.ones(256, 64)}),
            r"decode_head.linear_c1.proj.weight has \(256, 64\), expected \(256, 32\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    state = nvlabs_segmentation(per_frame())
    change(state)
    with pytest.raises(CheckpointError, match=message):
        read_model([written(tmp_path / "a.pth", {"state_dict": state})])


def test_the_backbone_of_a_segmentation_model_is_an_encoder(tmp_path):
    model = per_frame()
    state = {f"backbone.{name}": tensor for name, tensor in model.encoder.state_dict().items()}
    found = read_model([written(tmp_path / "a.pth", state)])
    assert found.untrained == ("fusion", "classifier") and found.prefix_notes == ()
    wanted = model.encoder.state_dict()
    assert all(torch.equal(tensor, wanted[n]) for n, tensor in found.model.encoder.state_dict().items())


def test_a_backbone_with_a_lost_tensor_is_refused(tmp_path):
    state = nvlabs_backbone(per_frame())
    state["block3.1.mlp.fc3.bias"] = state.pop("block3.1.mlp.fc2.bias")
    with pytest.raises(
        CheckpointError, match="mit_b0: 1 missing: block3.1.mlp.fc2.bias; 1 unexpected: block3.1.mlp.fc3"
    ):
        read_model([written(tmp_path / "mit_b0.pth", state)])


def test_two_files_are_one_too_many(tmp_path):
    path = written(tmp_path / "mit_b0.pth", nvlabs_backbone(per_frame()))
    with pytest.raises(CheckpointError, match="of format nvlabs is one file, but 2 are given"):
        read_model([path, path])
