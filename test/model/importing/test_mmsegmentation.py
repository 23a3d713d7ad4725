# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MMSegmentation's SegFormer: the imported model computes what the description of its network says, computed
here once more by plain functions."""

import pytest
import torch
import torch.nn.functional as F
import yaml
from importing_helpers import FOUR, image, logits, written

from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.image import normalised
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.model.inference import fold
from dcfm_ros.model.model_yaml import untrained_parts
from dcfm_ros.training.config import load_train_config
from dcfm_ros.training.start import new_model

WIDTHS, HEADS, REDUCTIONS, BLOCKS = (32, 64, 160, 256), (1, 2, 5, 8), (8, 4, 2, 1), 2  # of B0
EMBED, CLASSES = 48, 4
EXACT = {"rtol": 0, "atol": 1e-10}  # in float64: rounding in float32 depends on the processor


def tensors():
    """The names and shapes of a SegFormer B0 of MMSegmentation, with random values."""
    generator = torch.Generator().manual_seed(11)
    found = {}

    def weight(name, *shape, bias=True):
        fan_in = shape[1:].numel() if isinstance(shape, torch.Size) else torch.Size(shape[1:]).numel()
        found[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5
        if bias:
            found[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)

    def norm(name, width):
        found[f"{name}.weight"] = 1 + 0.2 * torch.randn(width, generator=generator)
        found[f"{name}.bias"] = 0.2 * torch.randn(width, generator=generator)

    def batch_norm(name, width):
        norm(name, width)
        found[f"{name}.running_mean"] = 0.2 * torch.randn(width, generator=generator)
        found[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=generator)
        found[f"{name}.num_batches_tracked"] = torch.tensor(7)

    before = 3
    for stage, width in enumerate(WIDTHS):
        at, kernel = f"backbone.layers.{stage}", 3 if stage else 7
        weight(f"{at}.0.projection", width, before, kernel, kernel)
        norm(f"{at}.0.norm", width)
        for number in range(BLOCKS):
            block = f"{at}.1.{number}"
            norm(f"{block}.norm1", width)
            found[f"{block}.attn.attn.in_proj_weight"] = (
                torch.randn(3 * width, width, generator=generator) / width
            )
            found[f"{block}.attn.attn.in_proj_bias"] = 0.1 * torch.randn(3 * width, generator=generator)
            weight(f"{block}.attn.attn.out_proj", width, width)
            if REDUCTIONS[stage] > 1:
                weight(f"{block}.attn.sr", width, width, REDUCTIONS[stage], REDUCTIONS[stage])
                norm(f"{block}.attn.norm", width)
            norm(f"{block}.norm2", width)
            weight(f"{block}.ffn.layers.0", 4 * width, width, 1, 1)
            weight(f"{block}.ffn.layers.1", 4 * width, 1, 3, 3)
            weight(f"{block}.ffn.layers.4", width, 4 * width, 1, 1)
        norm(f"{at}.2", width)
        weight(f"decode_head.convs.{stage}.conv", EMBED, width, 1, 1, bias=False)
        batch_norm(f"decode_head.convs.{stage}.bn", EMBED)
        before = width
    weight("decode_head.fusion_conv.conv", EMBED, 4 * EMBED, 1, 1, bias=False)
    batch_norm("decode_head.fusion_conv.bn", EMBED)
    weight("decode_head.conv_seg", CLASSES, EMBED, 1, 1)
    return found


def stages_of(given, picture):
    """The encoder's four outputs. All LayerNorms have eps 1e-6."""

    def of(name):
        return given[f"{name}.weight"], given.get(f"{name}.bias")

    def norm(feature, name):  # over channels
        return F.layer_norm(feature.movedim(1, -1), feature.shape[1:2], *of(name), 1e-6).movedim(-1, 1)

    outputs, feature = [], picture
    for stage, width in enumerate(WIDTHS):
        at, (stride, padding) = f"backbone.layers.{stage}", (2, 1) if stage else (4, 3)
        feature = F.conv2d(feature, *of(f"{at}.0.projection"), stride=stride, padding=padding)
        feature = norm(feature, f"{at}.0.norm")
        for number in range(BLOCKS):
            block, size = f"{at}.1.{number}", feature.shape[2:]
            query = norm(feature, f"{block}.norm1")
            source = query
            if (reduction := REDUCTIONS[stage]) > 1:
                source = norm(
                    F.conv2d(query, *of(f"{block}.attn.sr"), stride=reduction), f"{block}.attn.norm"
                )
            # PyTorch's own attention, which MMSegmentation calls: tokens first, then the batch
            attention = torch.nn.MultiheadAttention(width, HEADS[stage], dtype=picture.dtype).eval()
            inside = f"{block}.attn.attn."
            attention.load_state_dict(
                {
                    name.removeprefix(inside): tensor
                    for name, tensor in given.items()
                    if name.startswith(inside)
                }
            )
            tokens = source.flatten(2).permute(2, 0, 1)
            mixed, _ = attention(query.flatten(2).permute(2, 0, 1), tokens, tokens)
            feature = feature + mixed.permute(1, 2, 0).unflatten(2, size)
            hidden = F.conv2d(norm(feature, f"{block}.norm2"), *of(f"{block}.ffn.layers.0"))
            hidden = F.conv2d(hidden, *of(f"{block}.ffn.layers.1"), padding=1, groups=4 * width)
            feature = feature + F.conv2d(F.gelu(hidden), *of(f"{block}.ffn.layers.4"))
        feature = norm(feature, f"{at}.2")
        outputs.append(feature)
    return outputs


def doubled(given):
    return {name: tensor.double() for name, tensor in given.items()}


def logits_of(given, picture):
    """Each stage: convolution, batch norm, ReLU, resizing; all of them, the first stage first: the same."""

    def module(feature, name):
        mixed = F.conv2d(feature, given[f"{name}.conv.weight"])
        statistics = (
            given[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.relu(F.batch_norm(mixed, *statistics))

    stages = stages_of(given, picture)
    embedded = [
        F.interpolate(module(stage, f"decode_head.convs.{number}"), stages[0].shape[2:], mode="bilinear")
        for number, stage in enumerate(stages)
    ]
    fused = module(torch.cat(embedded, dim=1), "decode_head.fusion_conv")
    return F.conv2d(fused, given["decode_head.conv_seg.weight"], given["decode_head.conv_seg.bias"])


@pytest.mark.slow
def test_a_segmentation_model_gives_its_logits(tmp_path):
    given = tensors()
    content = {"meta": {"mmseg_version": "0.20.0"}, "state_dict": given, "optimizer": {"state": {}}}
    imported = import_model([written(tmp_path / "segformer.pth", content)], tmp_path / "model")
    assert (imported.format, imported.ignored, imported.untrained) == ("mmsegmentation", (), ())

    ours, picture, exact = load_model(tmp_path / "model"), image(66, 101).double(), doubled(given)
    config = ours.config
    assert (config.backbone, config.fusion, config.embed) == ("mit_b0", "relu", EMBED)
    assert (config.block_eps, config.inner_eps) == (1e-6, 1e-6)
    with torch.inference_mode():
        seeded = torch.Generator().manual_seed(0)
        raw = torch.randint(0, 256, (1, 66, 101, 3), dtype=torch.uint8, generator=seeded)
        parts = fold(ours)
        wanted = logits_of(given, normalised(raw, config.normalisation))
        torch.testing.assert_close(parts.deep(parts.shallow(raw)), wanted, rtol=0, atol=2e-5)
        wanted = logits_of(exact, picture)
        torch.testing.assert_close(logits(ours.double(), picture), wanted, **EXACT)
        ours.published_order = False
        torch.testing.assert_close(ours.keyframe(picture), wanted, **EXACT)
    assert wanted.std() > 0.1  # a model that says something


@pytest.mark.slow
@pytest.mark.parametrize("before", ("backbone.", ""))
def test_an_encoder_alone_gives_its_stages(tmp_path, before):
    """As MMSegmentation's own mit_b0.pth, and as saved from within a model."""
    given = tensors()
    encoder = {
        before + name.removeprefix("backbone."): tensor
        for name, tensor in given.items()
        if name.startswith("backbone.")
    }
    imported = import_model([written(tmp_path / "mit_b0.pth", encoder)], tmp_path / "model")
    assert imported.untrained == untrained_parts(tmp_path / "model") == ("fusion", "classifier")
    encoder, picture = imported.model.encoder.double(), image().double()
    with torch.inference_mode():
        found, wanted = encoder.deep(encoder.shallow(picture)), stages_of(doubled(given), picture)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.slow
def test_class_tables_of_both_versions_are_taken(tmp_path):
    names, palette = [row.name for row in FOUR], [list(row.color) for row in FOUR]
    for meta in (
        {"CLASSES": tuple(names), "PALETTE": palette},
        {"dataset_meta": {"classes": tuple(names), "palette": palette}},
        {"dataset_meta": {"CLASSES": names, "PALETTE": palette}},
    ):
        imported = read_model([written(tmp_path / "a.pth", {"meta": meta, "state_dict": tensors()})])
        assert imported.model.config.classes == FOUR and imported.class_names_from == "the checkpoint"


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda state: state.pop("backbone.layers.1.1.0.attn.attn.in_proj_bias"),
            r"mit_b0: 2 missing: backbone.layers.1.1.0.attn.attn.in_proj_bias \(key and value\)",
        ),
        (
            lambda state: state.update(
                {"backbone.layers.0.1.0.attn.attn.in_proj_weight": torch.ones(95, 32)}
            ),
            "1 unexpected: backbone.layers.0.1.0.attn.attn.in_proj_weight",
        ),
        (
            lambda state: state.pop("decode_head.fusion_conv.conv.weight"),
            "lacks decode_head.fusion_conv.conv.weight",
        ),
        (
            lambda state: state.update({"decode_head.convs.1.conv.weight": torch.ones(EMBED, 63, 1, 1)}),
            r"decode_head.convs.1.conv.weight has \(48, 63, 1, 1\), expected \(48, 64, 1, 1\)",
        ),
        (
            lambda state: state.update({"auxiliary_head.conv.weight": torch.ones(1)}),
            "0 missing: none; 1 unexpected: auxiliary_head.conv.weight",
        ),
        (
            lambda state: state.update(
                {"decode_head.conv_seg.weight": torch.ones(4, EMBED, 1, 1).to_sparse()}
            ),
            "decode_head.conv_seg.weight is sparse",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    state = tensors()
    change(state)
    with pytest.raises(CheckpointError, match=message):
        read_model([written(tmp_path / "a.pth", {"state_dict": state})])


@pytest.mark.slow
def test_a_dcfm_model_starts_from_it_with_its_fusion(tmp_path):
    """`backbone: init` sees to the fusion; another one is named."""
    import_model([written(tmp_path / "a.pth", tensors())], tmp_path / "origin")
    path = tmp_path / "train.yaml"
    plain = {
        "model": {"backbone": "init", "classes": [{"name": "a", "color": [1, 2, 3]}]},
        "data": {"sources": [{"source": "synthetic"}]},
        "phases": [{"iterations": 1, "batch": 1, "height": 64, "width": 64, "lr_start": 1e-4, "lr_end": 0.0}],
        "init": str(tmp_path / "origin"),
    }
    path.write_text(yaml.safe_dump(plain))
    model, origin = new_model(load_train_config(path)), load_model(tmp_path / "origin")
    assert (model.config.architecture, model.config.fusion) == ("dcfm", "relu")
    found, wanted = model.state_dict(), origin.state_dict()
    for name, tensor in wanted.items():
        if name.startswith(("encoder.", "fusion.")) and not name.endswith("num_batches_tracked"):
            assert torch.equal(found[name], tensor), name
    with pytest.raises(ConfigError, match="use the same embed and fusion"):
        new_model(load_train_config(path, ["model.fusion=linear"]))
