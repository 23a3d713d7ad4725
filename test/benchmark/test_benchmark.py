# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm benchmark` with a tiny model."""

import json
import shlex
from dataclasses import replace
from functools import cache
from importlib.util import find_spec

import pytest
import torch
from helpers import write_tiny_model

from dcfm_ros.benchmark import benchmark as module
from dcfm_ros.benchmark import kernels
from dcfm_ros.benchmark.benchmark import benchmark
from dcfm_ros.benchmark.options import BenchmarkOptions
from dcfm_ros.cli import main
from dcfm_ros.pipeline.backends import BackendError

CAMERA = (72, 108)
TRANSFORMERS = ["transformers"] if find_spec("transformers") else []  # a row where it is installed


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {kind: str(write_tiny_model(folder / kind, architecture=kind)) for kind in ("dcfm", "per_frame")}


@pytest.fixture
def options(models):
    """0.1 s: three rounds, as few as there are. A second of frames at 20 Hz are few, too."""
    return BenchmarkOptions(models["dcfm"], camera=CAMERA, backend="torch", seconds=0.1, rate_hz=20.0)


@pytest.fixture(scope="module")
def scenes():
    """`open_scene`, which draws each scene once."""
    return cache(module.open_scene)


@pytest.fixture(autouse=True)
def short_bursts(monkeypatch, scenes):
    interleave = module.interleave
    monkeypatch.setattr(
        module, "interleave", lambda *arguments, **how: interleave(*arguments, burst_s=0.0, **how)
    )
    monkeypatch.setattr(module, "open_scene", scenes)
    monkeypatch.setattr(kernels, "_COUNTED", 3)


@pytest.mark.slow
def test_the_report_has_everything(options, models):
    report = benchmark(replace(options, only=options.only))
    assert [row["key"] for row in report["rows"]] == [
        *TRANSFORMERS,
        "eager",
        "published",
        "rewritten",
        "pipeline",
        "keyframe",
        "shallow",
        "shallow_none",
        "shallow_border",
        "sync_k2",
        "sync_k6",
        "sync_aks",
        "async_k2",
        "async_k6",
        "async_aks",
        "alone",
        "encoding",
        "alone_paced",
        "encoding_paced",
    ]
    rows = {row["key"]: row for row in report["rows"]}
    for row in rows.values():
        assert 0 < row["median_ms"] <= row["p99_ms"] and row["samples"] >= 6 and row["precision"] == "f32"
    rates = {
        "pipeline": 1,
        "keyframe": 1,
        "shallow": 0,
        "shallow_none": 0,
        "sync_k2": 1 / 2,
        "sync_k6": 1 / 6,
    }
    assert {key: rows[key]["keyframes_per_frame"] for key in rates} == pytest.approx(rates, abs=1e-3)
    assert rows["encoding"]["keyframes_per_s"] > 0 and rows["alone"]["keyframes_per_s"] == 0
    assert 0 < rows["alone_paced"]["frames_per_s"] < 21
    assert len(report["ratios"]) == 11 + 2 * len(TRANSFORMERS)
    (moving,) = (ratio for ratio in report["ratios"] if ratio["fast"] == "shallow_none")
    assert moving["slow"] == "shallow" and moving["low"] <= moving["ratio"] <= moving["high"]
    assert [of["pace"] for of in report["guarantees"]] == ["back to back", "20 Hz"]
    fastest = min(
        (*TRANSFORMERS, "eager", "published", "rewritten", "pipeline"), key=lambda key: rows[key]["median_ms"]
    )
    assert {of["slow"] for of in report["ratios"] if of["fastest_per_frame"]} == {fastest}
    assert [step["step"] for step in report["steps"] if step["shallow_ms"] is None] == [
        "deep path, common feature"
    ]
    assert report["slices"]["number"] >= 4 and report["transfers"] is None
    assert [row["logits"] for row in report["upsampling"]] == [
        "the model's own",
        "made, 0%",
        "made, 15%",
        "made, 100%",
    ]
    assert [part["of"] for part in report["kernels"]] == ["shallow frame", "deep path"]
    for part in report["kernels"]:
        longest = [kernel["ms"] for kernel in part["kernels"]]
        assert (
            len(longest) == 5
            and longest == sorted(longest, reverse=True)
            and 0 < sum(longest) <= part["total_ms"]
        )
    assert report["camera"] == list(CAMERA) and report["model"]["input"] == [64, 96]
    assert (
        report["model"]["classes"] == 4
        and 0 <= report["model"]["border_share"] <= 1
        and report["rounds"] == 3
    )
    assert report["backend"] == {"name": "torch", "device": "cpu", "precision": "f32"}
    assert (
        report["machine"]["cpu"] and report["machine"]["torch_threads"] == 1 and report["versions"]["torch"]
    )
    assert json.loads(json.dumps(report))["options"]["camera"] == list(CAMERA)


@pytest.mark.slow
def test_groups_are_measured_alone(options):
    report = benchmark(replace(options, only=("upsampling",)))
    assert report["rows"] == report["ratios"] == report["steps"] == report["guarantees"] == []
    assert len(report["upsampling"]) == 4
    report = benchmark(replace(options, only=("dcfm",)))
    assert [row["key"] for row in report["rows"]] == ["keyframe", "shallow", "shallow_none", "shallow_border"]
    assert [(ratio["slow"], ratio["fast"]) for ratio in report["ratios"]] == [("shallow", "shallow_none")]
    report = benchmark(replace(options, only=("kernels",)))
    assert report["rounds"] == 0 and report["rows"] == [] and len(report["kernels"]) == 2


@pytest.mark.slow
def test_a_per_frame_model_has_a_dcfm_beside_it(options, models):
    report = benchmark(replace(options, model=models["per_frame"], only=("per_frame", "dcfm")))
    assert {"pipeline", "shallow"} < {row["key"] for row in report["rows"]}
    assert (
        "DCFM's fusion with S is random and its classifier is fitted to its masks"
        in report["model"]["weights"]
    )


@pytest.mark.slow
def test_random_weights_say_so(options):
    report = benchmark(
        replace(options, model=None, backbone="mit_b0", classes=6, size=(64, 96), only=("dcfm",))
    )
    assert report["model"]["weights"].startswith("random weights") and report["model"]["classes"] == 6
    assert report["model"]["name"] == "mit_b0" and report["model"]["input"] == [64, 96]
    assert "--backbone mit_b0 --classes 6 --size 64x96 --camera 72x108" in report["command"]


@pytest.mark.slow
def test_a_backend_that_makes_masks_beside_logits(options, monkeypatch):
    """As on a GPU: no own logits to work on, so what needs them is not there. Nor is transformers."""
    monkeypatch.setattr("dcfm_ros.benchmark.participants.find_spec", lambda name: None)
    for place in ("benchmark", "participants", "steps"):
        monkeypatch.setattr(f"dcfm_ros.benchmark.{place}.masks_on_host", lambda backend: False)
    stopped = []
    monkeypatch.setattr(module, "stop_backend", stopped.append)
    report = benchmark(replace(options, only=("per_frame", "dcfm", "steps", "upsampling")))
    assert [row["key"] for row in report["rows"]] == [
        "eager",
        "published",
        "pipeline",
        "keyframe",
        "shallow",
        "shallow_none",
    ]
    assert (
        report["steps"][-1]["step"] == "fusion, head, upsample-argmax, mask to the host"
        and report["upsampling"] == []
    )
    # of DCFM one for each kind of mode
    assert [backend.per_frame for backend in stopped] == [True, False, False]
    with pytest.raises(
        ValueError, match="upsampling: backend torch on cpu has nothing of it; give some of per_frame, dcfm"
    ):
        benchmark(replace(options, only=("upsampling",)))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"classes": 4}, "classes 4: a model has its own; give the number with a backbone only"),
        ({"model": "a", "backbone": "mit_b0"}, "model a and backbone mit_b0: give one of them"),
        ({"only": ()}, "nothing to measure: give some of per_frame"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        BenchmarkOptions(**changes)


def test_backends_refuse_devices_that_they_do_not_know(options):
    with pytest.raises(BackendError, match="unknown device 'tpu': use auto, cpu, cuda or cuda:N"):
        benchmark(replace(options, device="tpu"))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(options):
    with pytest.raises(BackendError, match="device 'cuda': this PyTorch sees no GPU"):
        benchmark(replace(options, device="cuda"))


def test_the_command_gives_these_options_again(monkeypatch):
    options = BenchmarkOptions(
        "my models/b0",
        size=(64, 96),
        camera=(72, 108),
        source="drive.mp4",
        backend="torch",
        precision="f32",
        device="cpu",
        turns="sliced",
        rate_hz=30.0,
        seconds=5.0,
        only=("dcfm", "steps"),
    )
    assert options.command() == (
        "dcfm benchmark 'my models/b0' --size 64x96 --camera 72x108 --source drive.mp4 "
        "--backend torch --precision f32 --device cpu --turns sliced --rate 30.0 --seconds 5.0 "
        "--only dcfm,steps"
    )
    received = []

    def note(options):
        received.append(options)
        raise ValueError("that is all")

    monkeypatch.setattr(module, "benchmark", note)

    for given in (options, BenchmarkOptions(), BenchmarkOptions(backbone="mit_b0", classes=124)):
        assert main(shlex.split(given.command())[1:]) == 2
        assert received.pop() == given


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_the_report(options, models, capsys, tmp_path):
    file = tmp_path / "deep" / "report.json"
    assert (
        main(
            [
                "benchmark",
                models["dcfm"],
                "--camera",
                "72x108",
                "--backend",
                "torch",
                "--seconds",
                "0.1",
                "--only",
                "per_frame,dcfm",
                "--json",
                str(file),
            ]
        )
        == 0
    )
    output = capsys.readouterr().out
    report = json.loads(file.read_text())
    assert output.startswith("dcfm benchmark ") and "times faster" in output and "step by step" not in output
    assert f"{report['rows'][0]['median_ms']:.2f}" in output


def test_the_command_names_what_is_wrong(capsys, models):
    assert main(["benchmark", models["dcfm"], "--only", "fast"]) == 2
    assert capsys.readouterr().err.startswith("dcfm benchmark: --only 'fast': use some of per_frame, dcfm")
    assert main(["benchmark", "street99"]) == 2
    assert "no model 'street99'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["benchmark", "--camera", "big"])
    assert "'big' is not height x width, as in 480x853" in capsys.readouterr().err
