# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DCFM against other networks, with a tiny model, tiny images and few rounds."""

import json
from dataclasses import replace

import pytest
import torch
from helpers import one_thread, write_tiny_model  # noqa: F401
from studies import against_others
from studies.lraspp import BLOCKS, HEAD, LRASPPHead, parameters, random_lraspp
from studies.other_networks import OTHERS, AsLogits, AsPublished, prepared
from torch import nn

from dcfm_ros.benchmark.networks import labelled_scene
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.image import resized
from dcfm_ros.pipeline.postprocess import upsampled_argmax

CAMERA = (72, 108)


def test_the_head_classifies_at_the_size_of_fine_features():
    head = LRASPPHead(40, 960, 11).eval()
    low, high = torch.randn(1, 40, 16, 24), torch.randn(1, 960, 8, 12)
    with torch.inference_mode():
        logits = head(low, high)
        torch.nn.init.zeros_(head.low_classifier.weight)
        others = head(low + 1.0, high)
    assert logits.shape == (1, 11, 16, 24) and head.classifier.in_channels == HEAD
    assert not torch.equal(logits, others)
    # the deep features alone: one value per position of the coarse grid, weighted by one value per channel
    with torch.inference_mode():
        weighted = head.project(high) * head.weigh(high)
        bias = head.low_classifier.bias[:, None, None]
        wanted = head.classifier(resize(weighted, (16, 24))) + bias
    torch.testing.assert_close(others, wanted)


def test_the_network_is_the_one_that_people_run():
    network = random_lraspp(21)
    assert parameters(network) == 3_221_538  # of torchvision's lraspp_mobilenet_v3_large
    with torch.inference_mode():
        image = torch.zeros(1, 3, 64, 96)
        low = network.low(network.stem(image))
        assert low.shape[1:] == (40, 8, 12) and network.high(low).shape[1:] == (160, 4, 6)
        assert network(image).shape == (1, 21, 8, 12)
    assert sum(block.squeezes for block in BLOCKS) == 8


@pytest.mark.slow
def test_both_forms_of_a_network_give_the_same_mask_with_regions():
    other, size = OTHERS["lraspp"], (64, 96)
    network = prepared(other, 11, CAMERA, size)
    image, label = next(iter(labelled_scene(CAMERA)))
    pixels = torch.from_numpy(resized(image, size))[None]
    with torch.inference_mode():
        mask = AsPublished(network, other.normalisation, CAMERA)(pixels)[0].numpy()
        logits = AsLogits(network, other.normalisation)(pixels)[0].permute(2, 0, 1).numpy()
    assert (upsampled_argmax(logits, CAMERA) == mask).mean() > 0.999
    # fitted to one-hot maps: features have neither vanished nor exploded, and tell classes apart
    assert 0.5 < abs(logits).max() < 5.0 and (mask == label).mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("key", OTHERS)
def test_every_network_takes_the_number_of_classes(key):
    other = OTHERS[key]
    with torch.inference_mode():
        logits = other.build(19).eval()(torch.zeros(1, 3, 64, 96))
    stride = 4 if key.startswith("segformer") else 8 if key in ("lraspp", "mobilenetv2_s8") else 16
    assert logits.shape == (1, 19, 64 // stride, 96 // stride)


@pytest.mark.slow
def test_the_report(tmp_path, monkeypatch, capsys):
    def build(classes):  # in a hundredth of the time
        return nn.Sequential(nn.Conv2d(3, 8, 3, 8, 1), nn.Conv2d(8, classes, 1))

    tiny = replace(OTHERS["lraspp"], build=build, classifier="1", faint="")
    monkeypatch.setitem(OTHERS, "lraspp", tiny)
    measure = against_others.against_others
    monkeypatch.setattr(against_others, "against_others", lambda options: measure(options, burst_s=0.0))
    model, file = str(write_tiny_model(tmp_path / "mine")), tmp_path / "report.json"
    arguments = ["--camera", "72x108", "--models", model, "--classes", "4", "--others", "lraspp"]
    against_others.main([*arguments, "--precision", "f32", "--seconds", "0.1", "--json", str(file)])
    report = json.loads(file.read_text())
    assert [row["key"] for row in report["rows"]] == [
        f"{model}/frame",
        f"{model}/sync_k6",
        f"{model}/published",
        f"{model}/rewritten",
        f"{model}/pipeline",
        "lraspp",
        "lraspp/masked",
    ]
    rows = {row["key"]: row for row in report["rows"]}
    for row in rows.values():
        assert 0 < row["median_ms"] <= row["p99_ms"] and row["precision"] == "f32"
    assert rows[f"{model}/frame"]["keyframes_per_frame"] == 0
    assert rows[f"{model}/sync_k6"]["keyframes_per_frame"] == pytest.approx(1 / 6, abs=1e-3)
    assert rows["lraspp"]["published"][0]["miou"] == 57.9
    assert rows["lraspp"]["published"][0]["source"].startswith("https://")
    assert 0.0 <= rows["lraspp"]["border_share"] <= 1.0
    assert [(of["slow"], of["of"]) for of in report["ratios"]] == [
        (slow, of)
        for slow in ("lraspp", "lraspp/masked", f"{model}/fastest per frame")
        for of in ("median", "mean")
    ]
    assert all(0 < of["low"] <= of["ratio"] <= of["high"] for of in report["ratios"])
    assert report["camera"] == [72, 108] and report["input"] == [64, 96] and report["rounds"] == 3
    assert report["machine"]["cpu"] and report["versions"]["openvino"]
    printed = capsys.readouterr().out
    assert "lraspp: 57.9 %" in printed and f"{model} than lraspp/masked" in printed


def test_a_network_that_is_not_known(capsys):
    with pytest.raises(SystemExit):
        against_others.main(["--others", "lraspp,unet"])
    assert "unet" in capsys.readouterr().err
