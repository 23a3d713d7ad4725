# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prefixes that wrappers leave before names: removed and said; of two models none is guessed."""

import pytest
import torch
from importing_helpers import hugging_face, logits, nvlabs_segmentation, per_frame, written
from safetensors.torch import save_file

from dcfm_ros.model.importing.checkpoint import CheckpointError, read_checkpoint
from dcfm_ros.model.importing.import_model import read_model
from dcfm_ros.model.importing.prefixes import at_prefix, prefixes_of


def prefixed(prefix, tensors=None):
    tensors = nvlabs_segmentation(per_frame()) if tensors is None else tensors
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def test_the_first_place_of_a_name_counts():
    signs = ("backbone.patch_embed1.", "patch_embed1.")
    assert prefixes_of(["backbone.patch_embed1.a", "x.y"], signs) == {""}
    assert prefixes_of(["m.backbone.patch_embed1.a"], signs) == {"m."}
    assert prefixes_of(["m.n.patch_embed1.a", "patch_embed1.a"], signs) == {"m.n.", ""}
    assert prefixes_of(["xpatch_embed1.a", "m.xpatch_embed1.a"], signs) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "prefix",
    ("model.", "module.", "_orig_mod.", "net.", "model.module.", "_orig_mod.module.", "my.own.thing."),
)
@pytest.mark.parametrize("kind", (hugging_face, nvlabs_segmentation))
def test_any_prefix_is_removed_and_said(tmp_path, prefix, kind):
    model = per_frame(block_eps=1e-5)
    found = read_model([written(tmp_path / "a.ckpt", {"state_dict": prefixed(prefix, kind(model))})])
    if kind is hugging_face:
        assert torch.equal(logits(found.model), logits(model))
    assert found.untrained == () and found.prefix_notes == (f"stripped the prefix '{prefix}'",)
    assert f"\nstripped the prefix '{prefix}'\n" in f"{found}\n"


def test_without_a_prefix_nothing_is_said(tmp_path):
    assert read_model([written(tmp_path / "a.pth", prefixed(""))]).prefix_notes == ()


def lightning(**more):
    """As Lightning's Trainer saves it: all of it plain data."""
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": prefixed("model.") | more,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'miou'}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 6e-5}]}],
        "lr_schedulers": [{"last_epoch": 3}],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 6e-5, "classes": ["a", "b"]},
    }


@pytest.mark.slow
def test_lightning_s_checkpoints_are_read_and_what_is_no_model_is_left_out(tmp_path):
    path = written(
        tmp_path / "last.ckpt",
        lightning(**{"criterion.weight": torch.ones(4), "loss.a.b": torch.ones(1), "loss.c": torch.ones(1)}),
    )
    found = read_model([path])
    assert torch.equal(logits(found.model), logits(per_frame()))
    assert found.prefix_notes == (
        "stripped the prefix 'model.'",
        "left out, as beside the model: criterion. (1 tensor), loss. (2 tensors)",
    )


@pytest.mark.slow
def test_of_two_models_none_is_guessed(tmp_path):
    other = per_frame(seed=4)
    path = written(tmp_path / "a.ckpt", lightning(**prefixed("ema_model.", nvlabs_segmentation(other))))
    with pytest.raises(
        CheckpointError,
        match=r"a.ckpt holds 2 models, whose names begin with 'ema_model.', 'model.'; say which one you want "
        r"\(dcfm import --prefix ema_model or --prefix model\), or save",
    ):
        read_model([path])
    for prefix, wanted in (("model", per_frame()), ("ema_model.", other)):
        found = read_model([path], prefix=prefix)
        assert torch.equal(logits(found.model), logits(wanted))
        assert found.prefix_notes[0] == f"stripped the prefix '{prefix.rstrip('.')}.'"
        assert "left out, as beside the model: " in found.prefix_notes[1]
    with pytest.raises(
        CheckpointError, match="no name begins with teacher.; they begin with model., ema_model."
    ):
        read_model([path], prefix="teacher")


@pytest.mark.slow
def test_one_of_two_models_may_have_no_prefix(tmp_path):
    path = written(
        tmp_path / "a.pth", prefixed("") | prefixed("ema.", nvlabs_segmentation(per_frame(seed=4)))
    )
    with pytest.raises(
        CheckpointError, match="begin with no prefix, 'ema.'; .* --prefix none or --prefix ema"
    ):
        read_model([path])
    assert torch.equal(logits(read_model([path], prefix="none").model), logits(per_frame()))
    assert torch.equal(logits(read_model([path], prefix="ema").model), logits(per_frame(seed=4)))


@pytest.mark.slow
def test_a_model_within_another_is_left_out_where_the_outer_one_is_meant(tmp_path):
    both = prefixed("model.") | prefixed("model.ema.", nvlabs_segmentation(per_frame(seed=4)))
    path = written(tmp_path / "a.pth", both)
    with pytest.raises(CheckpointError, match="begin with 'model.', 'model.ema.'"):
        read_model([path])
    found = read_model([path], prefix="model")
    assert torch.equal(logits(found.model), logits(per_frame()))
    assert found.prefix_notes[1].startswith("left out, as beside the model: model. (")


@pytest.mark.slow
def test_models_of_two_formats_are_two_models(tmp_path):
    both = prefixed("student.") | prefixed("teacher.", hugging_face(per_frame()))
    with pytest.raises(
        CheckpointError, match="holds 2 models, whose names begin with 'student.', 'teacher.'"
    ):
        read_model([written(tmp_path / "a.pth", both)])
    assert read_model([tmp_path / "a.pth"], prefix="teacher").format == "huggingface"


@pytest.mark.slow
def test_several_state_dicts_in_a_file_are_told_apart_by_their_names(tmp_path):
    average = nvlabs_segmentation(per_frame(seed=4))
    path = written(tmp_path / "a.pth", {"model": prefixed(""), "ema": {"state_dict": average}, "epoch": 3})
    with pytest.raises(CheckpointError, match="begin with 'ema.state_dict.', 'model.'"):
        read_model([path])
    assert torch.equal(logits(read_model([path], prefix="ema.state_dict").model), logits(per_frame(seed=4)))
    beside = written(tmp_path / "b.pth", {"net": prefixed("module."), "head": {"weight": torch.ones(2)}})
    assert read_model([beside]).prefix_notes == (
        "stripped the prefix 'net.module.'",
        "left out, as beside the model: head. (1 tensor)",
    )


@pytest.mark.slow
def test_half_of_the_names_with_a_prefix_are_not_taken_for_all(tmp_path):
    half = {
        (f"model.{name}" if number % 2 else name): tensor
        for number, (name, tensor) in enumerate(prefixed("").items())
    }
    with pytest.raises(
        CheckpointError, match="a.pth holds 2 models|names begin with the prefix 'model.', but "
    ):
        read_model([written(tmp_path / "a.pth", half)])
    lost = {
        (name if name.startswith("decode_head.linear_c2") else f"model.{name}"): tensor
        for name, tensor in prefixed("").items()
    }
    lost |= {"model.decode_head.linear_c2.proj.bias": torch.ones(256)}
    with pytest.raises(
        CheckpointError,
        match=r"b.pth: \d+ names begin with the prefix 'model.', but decode_head.linear_c2.proj.weight, "
        r"decode_head.linear_c2.proj.bias, which may belong to the same model, without it; save",
    ):
        read_model([written(tmp_path / "b.pth", lost)])
    with pytest.raises(CheckpointError, match="1 missing: decode_head.linear_c2.proj.weight; 0 unexpected"):
        read_model([tmp_path / "b.pth"], prefix="model")


def test_a_name_that_is_nothing_but_the_prefix_is_left_out(tmp_path):
    content = prefixed("model.") | {"model.": torch.ones(1), "model": torch.ones(1)}
    found = read_model([written(tmp_path / "a.pth", content)])
    assert found.prefix_notes[1] == "left out, as beside the model: model. (1 tensor), model (1 tensor)"
    assert "" not in at_prefix(read_checkpoint(tmp_path / "a.pth"), "model.").tensors


@pytest.mark.slow
@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16))
def test_half_precision_becomes_float32(tmp_path, dtype):
    halved = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in prefixed("net.").items()
    }
    save_file(halved, tmp_path / "a.safetensors")
    for path in (tmp_path / "a.safetensors", written(tmp_path / "a.pth", halved)):
        found = read_model([path]).model.state_dict()
        assert {tensor.dtype for tensor in found.values()} == {torch.float32, torch.int64}
        wanted = per_frame().state_dict()
        assert all(
            torch.equal(tensor, wanted[name].to(dtype).float())
            for name, tensor in found.items()
            if not name.endswith("num_batches_tracked")
        )
