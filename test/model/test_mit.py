# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder: sizes, shapes, the cut into a shallow and a deep part."""

import pytest
import torch
from helpers import CLASSES, tiny_config, tiny_model
from torch import nn

from dcfm_ros.model.backbone_specs import MIT_SPECS
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.drop_path import drop_path
from dcfm_ros.model.mit import Attention, MixTransformer, PatchEmbedding, to_feature_map, to_tokens

UNUSED = 2451  # the published counts include a classifier 128 -> 19 which nothing uses


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize(
    "backbone, classes, head_layers, encoder, decoder",
    [
        ("mit_b0", 19, 0, 3_716_595, 75_264),
        ("mit_b1", 19, 1, 13_679_699, 145_408),
        ("mit_b2", 124, 0, 24_724_563, 106_240),
        ("mit_b5", 124, 0, 81_971_283, 106_240),
    ],
)
def test_published_parameter_counts(backbone, classes, head_layers, encoder, decoder):
    table = tuple(ClassSpec(f"class {i}", (i, 0, 0)) for i in range(classes))
    with torch.device("meta"):
        model = DCFM(ModelConfig(backbone=backbone, classes=table, head_layers=head_layers))
    assert count(model.encoder, model.fusion) == encoder - UNUSED
    assert count(model.ffm, model.head) == decoder
    assert count(model) == encoder + decoder - UNUSED


@pytest.mark.slow
@pytest.mark.parametrize("name", MIT_SPECS)
def test_every_table_row_is_consistent(name):
    spec = MIT_SPECS[name]
    assert all(width % heads == 0 for width, heads in zip(spec.widths, spec.heads))
    with torch.device("meta"):
        encoder = MixTransformer(spec)
    assert [len(getattr(encoder, f"block{stage}")) for stage in (1, 2, 3, 4)] == list(spec.depths)
    assert encoder.shallow(torch.empty(1, 3, 64, 96, device="meta")).shape == (1, spec.widths[0], 16, 24)


def test_layer_norms_have_the_published_eps():
    """1e-6 in blocks and after stages, 1e-5 in patch embeddings and spatial reductions."""
    encoder = MixTransformer(MIT_SPECS["mit_b0"])
    inner = {
        id(module.norm)
        for module in encoder.modules()
        if isinstance(module, PatchEmbedding) or (isinstance(module, Attention) and module.reduction > 1)
    }
    norms = [module for module in encoder.modules() if isinstance(module, nn.LayerNorm)]
    assert len(inner) == 4 + 6 and len(norms) == 10 + 2 * 8 + 4
    assert all(norm.eps == (1e-5 if id(norm) in inner else 1e-6) for norm in norms)


def test_tokens_and_images_are_two_views_of_the_same_memory():
    image = torch.randn(2, 5, 3, 4).contiguous(memory_format=torch.channels_last)
    tokens = to_tokens(image)
    assert tokens.shape == (2, 12, 5) and tokens.is_contiguous() and tokens.data_ptr() == image.data_ptr()
    again = to_feature_map(tokens, (3, 4))
    assert torch.equal(again, image) and again.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "height, width, grids",
    [
        (64, 96, [(16, 24), (8, 12), (4, 6), (2, 3)]),
        (50, 70, [(13, 18), (7, 9), (4, 5), (2, 3)]),
        (33, 32, [(9, 8), (5, 4), (3, 2), (2, 1)]),
    ],
)
def test_deep_goes_on_from_shallow(height, width, grids):
    encoder = tiny_model().encoder
    with torch.inference_mode():
        shallow = encoder.shallow(torch.randn(2, 3, height, width))
        features = encoder.deep(shallow)
    assert shallow.shape == (2, 32, *grids[0])
    assert [tuple(feature.shape) for feature in features] == [
        (2, channels, *grid) for channels, grid in zip(encoder.spec.widths, grids)
    ]


@pytest.mark.slow
def test_a_camera_frame_of_odd_size():
    model = tiny_model()
    with torch.inference_mode():
        logits = model(torch.randn(1, 3, 480, 853))
    assert logits.shape == (1, 4, 480, 853) and logits.isfinite().all()


def test_too_small_an_image_for_the_first_reduction_is_an_error():
    with pytest.raises(RuntimeError), torch.inference_mode():
        tiny_model()(torch.randn(1, 3, 16, 16))


def test_images_of_a_batch_do_not_mix():
    model, images = tiny_model(), torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        together, single = model(images), torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


def test_attention_is_that_of_the_formula():
    torch.manual_seed(0)
    attention = Attention(8, heads=2, reduction=1, norm_eps=1e-5).double()
    tokens = torch.randn(1, 6, 8, dtype=torch.float64)
    query, key, value = attention.q(tokens), attention.kv(tokens)[..., :8], attention.kv(tokens)[..., 8:]
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weights = (query[..., part] @ key[..., part].transpose(1, 2) / 4**0.5).softmax(-1)
        heads.append(weights @ value[..., part])
    torch.testing.assert_close(attention(tokens, (2, 3)), attention.proj(torch.cat(heads, -1)))


def test_stochastic_depth_drops_whole_branches_in_training_only():
    torch.manual_seed(0)
    branch = torch.ones(2000, 3, 8)
    dropped = drop_path(branch, 0.5, training=True)
    kept = dropped[:, 0, 0] != 0
    assert 0.45 < kept.float().mean() < 0.55
    assert torch.equal(dropped[kept], torch.full_like(dropped[kept], 2.0)) and not dropped[~kept].any()
    assert drop_path(branch, 0.5, training=False) is branch


def test_drop_rates_rise_from_zero():
    encoder = MixTransformer(MIT_SPECS["mit_b0"], drop_path=0.7)
    rates = [block.drop_path for stage in (1, 2, 3, 4) for block in getattr(encoder, f"block{stage}")]
    assert rates == pytest.approx([0.1 * i for i in range(8)])


def test_helper_model_is_reproducible_and_leaves_the_generator_alone():
    state = torch.random.get_rng_state()
    first, second, other = tiny_model(), tiny_model(), tiny_model(seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [model.head.classifier.weight for model in (first, second, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert first.config == tiny_config() and first.config.classes == CLASSES[:4]
