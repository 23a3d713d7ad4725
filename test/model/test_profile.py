# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What models cost, against the published figures and counts."""

import json
from functools import cache

import pytest
import torch
from helpers import tiny_config

from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import ClassSpec, ConfigError, ModelConfig
from dcfm_ros.model.cost import counted
from dcfm_ros.model.profile import parameters, profile, profile_table, sized

HALF_A_PER_CENT = 0.005


def table(classes: int) -> tuple[ClassSpec, ...]:
    return tuple(ClassSpec(f"class {i}", (i, 0, 0)) for i in range(classes))


@cache
def vspw(backbone: str) -> dict:
    """The setting of the published figures."""
    return profile(ModelConfig(backbone=backbone, classes=table(124), input_height=480, input_width=853))


def paper(backbone: str, path: str, column: str = "paper") -> float:
    return vspw(backbone)["paths"][path][column] / 1e9


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone, path, published",
    [
        ("mit_b0", "per_frame", 11.4),
        ("mit_b1", "per_frame", 21.6),
        ("mit_b2", "per_frame", 34.2),
        ("mit_b5", "per_frame", 102.3),
        ("mit_b2", "shallow", 1.478),
        ("mit_b5", "shallow", 1.478),
        ("mit_b2", "head", 0.815),
        ("mit_b2", "keyframe", 36.2),
        ("mit_b5", "keyframe", 104.2),
        ("mit_b2", "nonkey_two_sided", 6.95),
        ("mit_b5", "nonkey_two_sided", 6.95),
        ("mit_b2", "nonkey_causal", 4.21),
        ("mit_b5", "nonkey_causal", 4.21),
        ("mit_b2", "two_sided_k2_two_passes", 22.9),
        ("mit_b2", "two_sided_k6_two_passes", 12.3),
        ("mit_b5", "two_sided_k2_two_passes", 57.0),
        ("mit_b5", "two_sided_k6_two_passes", 23.6),
        ("mit_b2", "two_sided_k2", 21.6),
        ("mit_b2", "two_sided_k6", 11.8),
        ("mit_b5", "two_sided_k2", 55.6),
        ("mit_b5", "two_sided_k6", 23.2),
    ],
)
def test_published_multiply_accumulates(backbone, path, published):
    assert paper(backbone, path) == pytest.approx(published, rel=HALF_A_PER_CENT)


@pytest.mark.slow
def test_published_fusion_is_that_of_its_layer_alone():
    for backbone in ("mit_b2", "mit_b5"):
        assert paper(backbone, "fusion", "published") == pytest.approx(1.893, rel=HALF_A_PER_CENT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone, classes, head_layers, common_width, encoder, decoder",
    [
        ("mit_b0", 19, 0, 0, 3_716_595, 75_264),
        ("mit_b1", 19, 1, 0, 13_679_699, 145_408),
        ("mit_b2", 124, 0, 0, 24_724_563, 106_240),
        ("mit_b5", 124, 0, 0, 81_971_283, 106_240),
        ("pspnet18", 19, 1, 320, 11_439_680, 550_400),
    ],
)
def test_published_parameter_counts(backbone, classes, head_layers, common_width, encoder, decoder):
    config = ModelConfig(
        backbone=backbone, classes=table(classes), head_layers=head_layers, common_width=common_width
    )
    with torch.device("meta"):
        counts = parameters(build_model(config))
    assert counts["unused_in_published"] == (0 if backbone == "pspnet18" else 2451)
    assert (counts["encoder"] + counts["unused_in_published"], counts["decoder"]) == (encoder, decoder)
    assert counts["total"] == counts["encoder"] + counts["decoder"]


@pytest.mark.slow
def test_attention_is_in_columns_of_its_own():
    """Stage 1 of MiT-B2, block 1: 120x214 tokens, 15x26 keys, 64 channels, two products."""
    row = vspw("mit_b2")["paths"]["shallow"]
    assert row["published_attention"] == row["running_attention"] == 2 * (120 * 214) * (15 * 26) * 64
    assert vspw("mit_b2")["paths"]["fusion"]["running_attention"] == 0
    whole = vspw("mit_b2")["paths"]
    assert (
        whole["keyframe"]["running_attention"]
        == whole["per_frame"]["running_attention"]
        > 5 * row["running_attention"]
    )


@pytest.mark.slow
def test_as_it_runs_the_fusion_reads_only_the_shallow_channels():
    rows, pixels = vspw("mit_b2")["paths"], 120 * 214
    assert rows["fusion"]["published"] == pixels * (256 + 32) * 256
    assert rows["fusion"]["running"] == pixels * 32 * 256
    assert rows["head"]["running"] == rows["head"]["published"] == pixels * 256 * 124
    assert rows["nonkey_causal"]["running"] == rows["shallow"]["running"] + pixels * 256 * (32 + 124)
    assert rows["nonkey_two_sided"]["running"] == rows["shallow"]["running"] + 2 * pixels * 256 * (32 + 124)


@pytest.mark.slow
def test_what_runs_is_the_published_cost_less_what_the_rewrites_save():
    """Fusion of stages and FFM differ, encoder and head do not."""
    rows = vspw("mit_b0")["paths"]
    grids = [120 * 214, 60 * 107, 30 * 54, 15 * 27]
    published = (
        sum(grid * width * 256 for grid, width in zip(grids, (32, 64, 160, 256))) + grids[0] * 4 * 256 * 256
    )
    folded = sum(grid * width * 256 for grid, width in zip(grids, (32, 64, 160, 256)))
    assert rows["per_frame"]["published"] - rows["per_frame"]["running"] == published - folded
    # with all of the FFM
    assert rows["keyframe"]["published"] - rows["keyframe"]["running"] == published - folded
    assert rows["shallow"]["published"] == rows["shallow"]["running"]


def test_the_fusion_of_stages_as_the_documentation_says():
    """MiT-B0 at 480x360: 0.17 instead of about 3 G."""
    with torch.no_grad(), torch.device("meta"):
        model = build_model(tiny_config(architecture="per_frame")).eval()
        stages = model.encoder.deep(model.encoder.shallow(torch.empty(1, 3, 360, 480)))
        published, _ = counted(model.fusion, stages, True)
        folded, _ = counted(model.fusion.folded_form(), *stages)
    assert published.layers == pytest.approx(3.0e9, rel=0.05) and folded.layers == pytest.approx(
        0.17e9, rel=0.05
    )


@pytest.mark.slow
def test_means_over_frames():
    rows = vspw("mit_b2")["paths"]
    for column in rows["keyframe"]:
        key, twice, both, causal = (
            rows[name][column]
            for name in ("keyframe", "keyframe_two_passes", "nonkey_two_sided", "nonkey_causal")
        )
        # the paper charges a keyframe a second fusion and head
        assert twice - key == pytest.approx(both - causal)
        for interval in (2, 6):
            for name, first, others in (
                (f"two_sided_k{interval}", key, both),
                (f"causal_k{interval}", key, causal),
                (f"two_sided_k{interval}_two_passes", twice, both),
            ):
                assert rows[name][column] == pytest.approx((first + (interval - 1) * others) / interval)


@pytest.mark.slow
def test_a_resnet_has_no_attention_and_fuses_at_stride_8():
    report = profile(
        ModelConfig(
            backbone="pspnet50",
            classes=table(19),
            common_width=1280,
            head_layers=1,
            input_height=128,
            input_width=256,
        )
    )
    rows, pixels = report["paths"], 16 * 32
    assert report["parameters"]["unused_in_published"] == 0
    assert all(row["published_attention"] == row["running_attention"] == 0 for row in rows.values())
    assert rows["fusion"]["published"] == pixels * (1280 + 128) * 1280
    assert rows["fusion"]["running"] == pixels * 128 * 1280
    assert rows["head"]["published"] == rows["head"]["running"] == pixels * (1280 * 1280 + 1280 * 19)
    # the FFM's common part
    assert rows["deep"]["running"] - rows["deep"]["published"] == pixels * 1280 * 1280
    assert rows["keyframe"]["published"] == rows["keyframe"]["running"]


@pytest.mark.slow
def test_a_per_frame_model_has_only_what_it_runs():
    config = tiny_config(architecture="per_frame")
    report = profile(config)
    assert list(report["paths"]) == ["shallow", "deep", "head", "per_frame"]
    assert report["paths"]["per_frame"] == profile(tiny_config())["paths"]["per_frame"]
    assert report["parameters"]["decoder"] == 256 * 4 + 4
    text = profile_table(report)
    assert "per_frame" in text.splitlines()[0] and "keyframe" not in text


def test_the_report_is_plain_and_the_table_shows_it():
    report = vspw("mit_b2")
    assert json.loads(json.dumps(report)) == report
    text = profile_table(report)
    assert "mit_b2, dcfm, 124 classes, 480x853 pixels (height x width)" in text
    assert (
        "24,724,563       106,240    24,830,803" in text and "24,722,112       106,240    24,828,352" in text
    )
    row = next(line for line in text.splitlines() if line.startswith("non-key frame, two-sided"))
    assert row.split()[-5:] == ["6.947", "6.875", "1.282", "3.509", "1.282"]
    assert max(map(len, text.splitlines())) <= 100
    assert "unused classifier" not in profile_table(profile(tiny_config(backbone="resnet18")))


def test_other_input_sizes():
    config = sized(tiny_config(), "480x853")
    assert (config.input_height, config.input_width) == (480, 853)
    for size in ("480", "480x", "x853", "480,853", "480x853x3", "-1x3"):
        with pytest.raises(
            ConfigError, match=f"size '{size}': write HEIGHTxWIDTH in pixels, for example 480x853"
        ):
            sized(tiny_config(), size)
    with pytest.raises(ConfigError, match="input_width 20: use 32 to 8192"):
        sized(tiny_config(), "480x20")
