# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT backend with a stand-in for TensorRT: engines are ONNX files that ONNX Runtime runs. See
tensorrt_helpers."""

import json
import logging
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import one_thread, tiny_model, write_tiny_model  # noqa: F401
from pipeline_helpers import TIMEOUT_S, acquire, frame

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
import tensorrt_helpers

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.onnx_export import ExportError
from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.tensorrt import api as tensorrt_api
from dcfm_ros.pipeline.backends.tensorrt import backend as tensorrt
from dcfm_ros.pipeline.backends.tensorrt import build_program as tensorrt_build
from dcfm_ros.pipeline.backends.tensorrt import engine_builder
from dcfm_ros.pipeline.backends.tensorrt.engine_files import read_engines
from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.export.export import export
from dcfm_ros.pipeline.export.options import ExportOptions
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig

pytestmark = pytest.mark.slow

SIZE, ODD = (64, 96), (66, 101)  # the latter as in test_export.py, with which files are shared


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    with pytest.MonkeyPatch.context() as patch:
        tensorrt_helpers.without_tensorrt(patch)
        yield


def build(model, folder, precision="f32", report=lambda what: None, size=SIZE):
    return tensorrt_build.build_engines(model, "tiny", folder, size, precision, "cuda", report)


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """Folder of engines of the tiny model in f32."""
    folder = tmp_path_factory.mktemp("engines") / "f32"
    build(tiny_model(), folder)
    return folder


def image(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def grid(size):
    return -(-size[0] // 4), -(-size[1] // 4)


def compare(backend, model, tolerance, size=SIZE):
    """Logits for one and for two keyframes, moved or not, and masks are those of PyTorch."""
    reference = TorchBackend(model)
    features = []
    for made in (backend, reference):
        shallow = [made.shallow(image(seed, size)) for seed in range(3)]
        features.append((made, shallow, [made.deep(feature) for feature in shallow]))
    maps = [
        np.random.default_rng(seed).normal(0.0, 4.0, (*grid(size), 2)).astype(np.float32) for seed in range(2)
    ]
    for own, keyframes, motions in (
        (0, [0], ()),
        (1, [0], ()),
        (1, [0, 2], ()),
        (1, [0], maps[:1]),
        (1, [0, 2], maps),
    ):
        found, wanted = (
            made.decode(shallow[own], [commons[number] for number in keyframes], motions).copy()
            for made, shallow, commons in features
        )
        assert found.dtype == np.float32 and found.shape == wanted.shape
        assert np.linalg.norm(found - wanted) <= tolerance * np.linalg.norm(wanted)
    for motions in ((), maps[:1]):
        (mask, confidence), (wanted, sure) = (
            made.mask(shallow[1], commons[:1], (50, 70), True, motions) for made, shallow, commons in features
        )
        assert mask.dtype == confidence.dtype == np.uint8 and mask.shape == (50, 70)
        assert (mask != wanted).mean() < 0.01 and np.abs(confidence.astype(int) - sure).max() <= 2
    assert backend.mask(features[0][1][1], features[0][2][:1], (50, 70))[1] is None


@pytest.mark.parametrize(
    "kind, precision, size, tolerance",
    [({}, "f32", SIZE, 1e-5), ({}, "f16", ODD, 5e-3), ({"architecture": "per_frame"}, "f16", ODD, 5e-3)],
)
def test_engines_give_what_pytorch_gives(tmp_path, kind, precision, size, tolerance):
    model = tiny_model(**kind)
    record = build(model, tmp_path / "engines", precision, size=size)
    backend = tensorrt.TensorRTBackend(tmp_path / "engines")
    assert (backend.precision, backend.per_frame, backend.name) == (
        precision,
        "architecture" in kind,
        "tensorrt",
    )
    assert sorted(record.differences) == sorted(
        ["shallow", "deep"] + ["align", "decoder"] * (not backend.per_frame)
    )
    if backend.per_frame:  # S and maps say nothing there
        shallow = [backend.shallow(image(seed, size)) for seed in range(2)]
        common = backend.deep(shallow[0])
        reference = TorchBackend(model)
        wanted = reference.deep(reference.shallow(image(0, size)))[0].numpy()
        for feature, motions in zip(shallow, ((), [np.ones((*grid(size), 2), np.float32)])):
            assert np.linalg.norm(
                backend.decode(feature, [common], motions) - wanted
            ) <= tolerance * np.linalg.norm(wanted)
    else:
        compare(backend, model, tolerance, size)


def test_features_stay_and_the_image_may_change(engines):
    backend, picture = tensorrt.TensorRTBackend(engines), image(1)
    shallow = backend.shallow(picture)
    common = backend.deep(shallow)
    logits = backend.decode(shallow, [common]).copy()
    picture[:] = 0
    other = backend.shallow(image(2))
    backend.decode(other, [backend.deep(other)])
    assert np.array_equal(backend.decode(shallow, [common]), logits)
    assert shallow.nbytes == 4 * 32 * 16 * 24 and common.nbytes == 4 * 256 * 16 * 24


def test_the_record_says_what_the_engines_are_of(engines):
    plain = yaml.safe_load((engines / "export.yaml").read_text())
    assert (plain["format"], plain["size"], plain["precision"], plain["per_frame"]) == (
        "tensorrt",
        list(SIZE),
        "f32",
        False,
    )
    assert plain["versions"]["tensorrt"] == "11.4.0.106" and plain["versions"]["gpu"] == "NVIDIA Paper 9.9"
    assert read_engines(engines).size == SIZE


def test_progress_is_told_part_by_part_and_once(tmp_path):
    told = []
    build(tiny_model(), tmp_path / "engines", report=told.append)
    assert told[:4] == [
        "shallow (1 of 4): ONNX",
        "shallow (1 of 4): Building Engine 0%",
        "shallow (1 of 4): Building Engine 50%",
        "shallow (1 of 4): Building Engine 100%",
    ]
    assert told[4:16:4] == ["deep (2 of 4): ONNX", "align (3 of 4): ONNX", "decoder (4 of 4): ONNX"]
    assert told[-1] == "comparing with PyTorch" and len(told) == 17


def test_engines_that_differ_too_much_are_not_written(tmp_path, monkeypatch):
    run = tensorrt_build.run_once
    monkeypatch.setattr(
        tensorrt_build,
        "run_once",
        lambda part, *rest: run(part, *rest) * (np.nan if part.name == "deep" else 1),
    )
    with pytest.raises(ExportError, match="deep in f32 differs from PyTorch by nan of its length"):
        build(tiny_model(), tmp_path / "engines")
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_another_size_is_refused(engines):
    with pytest.raises(BackendError, match="for images of 96x64, not 96x96"):
        tensorrt.TensorRTBackend(engines).shallow(np.zeros((96, 96, 3), np.uint8))


def test_a_damaged_engine_is_refused(engines, tmp_path):
    def copy():
        for file in engines.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())

    copy()
    (tmp_path / "deep.engine").write_bytes(b"cut")
    with pytest.raises(BackendError, match="deep.engine is damaged"):
        tensorrt.TensorRTBackend(tmp_path)
    copy()
    (tmp_path / "export.yaml").write_text("format: tensorrt")
    with pytest.raises(BackendError, match="holds no readable engines: .*export again"):
        tensorrt.TensorRTBackend(tmp_path)
    with pytest.raises(BackendError, match="holds no readable engines"):
        tensorrt.TensorRTBackend(tmp_path / "nowhere")


def test_what_tensorrt_says_is_in_the_error(engines, tmp_path, monkeypatch, caplog):
    with pytest.raises(
        BackendError, match=r"TensorRT 11.4.0.106 cannot load the engine deep: magic tag does not match"
    ):
        tensorrt_api.Engine(b"of another version", "deep")
    assert (
        "dcfm_ros.pipeline.backends.tensorrt.api",
        logging.ERROR,
        "TensorRT: magic tag does not match",
    ) in caplog.record_tuples
    (tmp_path / "deep.onnx").write_bytes(b"no model")
    with pytest.raises(BackendError, match="cannot read deep.onnx: not an ONNX model"):
        tensorrt_api.build_engine(tmp_path / "deep.onnx", lambda *progress: None)
    backend = tensorrt.TensorRTBackend(engines)
    monkeypatch.setattr(tensorrt_helpers.IExecutionContext, "failing", True)
    with pytest.raises(RuntimeError, match="TensorRT failed to run shallow: no reason given"):
        backend.shallow(image(0))


@pytest.mark.parametrize("kind", ("Builder", "Runtime"))
def test_a_tensorrt_that_cannot_start(monkeypatch, kind):
    """Case of a driver that is too old: the bindings raise a TypeError."""

    def refuse(self, logger):
        logger.log(tensorrt_helpers.Severity.INTERNAL_ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(getattr(tensorrt_helpers, kind), "__init__", refuse)
    with pytest.raises(
        BackendError, match=r"TensorRT cannot start \(CUDA initialization failure with error: 35\)"
    ):
        tensorrt_api.Engine(b"", "deep") if kind == "Runtime" else tensorrt_api.build_engine(
            Path("a.onnx"), print
        )


def test_an_engine_checks_its_inputs(engines):
    engine = tensorrt_api.Engine((engines / "deep.engine").read_bytes(), "deep")
    with pytest.raises(
        ValueError,
        match=r"engine deep: shallow is \(1, 32, 16, 24\) torch.float16, built for .*torch.float32",
    ):
        engine.run({"shallow": torch.zeros(1, 32, 16, 24, dtype=torch.float16)}, 1)


def test_a_network_that_cannot_be_built(tmp_path, monkeypatch):
    monkeypatch.setattr(
        tensorrt_helpers.Builder,
        "build_serialized_network",
        lambda self, network, config: self._logger.log(tensorrt_helpers.Severity.ERROR, "no kernel for Gelu"),
    )
    with pytest.raises(BackendError, match="cannot build shallow.onnx: no kernel for Gelu"):
        build(tiny_model(), tmp_path / "engines")
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_is_not_supported(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt_helpers.stand_in("8.6.1"))
    with pytest.raises(BackendError, match="TensorRT 8.6.1 is not supported: install 10 or 11"):
        tensorrt_api.tensorrt()


def test_without_tensorrt(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(
        BackendError, match="TensorRT cannot be loaded .*pip install tensorrt-cu12 or tensorrt-cu13"
    ):
        tensorrt_api.tensorrt()


# The program that builds beside a node


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_program(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tensorrt_build.os, "nice", lambda by: by)
    model = write_tiny_model(tmp_path / "model")
    options = ("--name", "tiny", "--size", "66x101", "--precision", "f16", "--device", "cuda")
    assert tensorrt_build.main([str(model), str(tmp_path / "engines"), *options]) == 0
    told = lines_of(capsys)
    assert told[0] == {"progress": "shallow (1 of 4): ONNX"} and told[-1] == {
        "done": str(tmp_path / "engines")
    }
    compare(tensorrt.TensorRTBackend(tmp_path / "engines"), load_model(model), 5e-3, ODD)
    assert tensorrt_build.main([str(tmp_path / "nowhere"), str(tmp_path / "other"), *options]) == 1
    assert "no model" in lines_of(capsys)[-1]["error"] and not (tmp_path / "other").exists()


# All together


def test_the_command_puts_engines_where_the_backend_finds_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_tiny_model(tmp_path / "model")
    done = export(ExportOptions(str(folder), "tensorrt", size=ODD, precision="f16"))
    assert done.folder.parent == folder / "engines" and "decoder (4 of 4): ONNX\n" in capsys.readouterr().out
    model = load_model(folder)
    backend = engine_builder.make(model, "cuda", "auto", live=False)
    compare(backend, model, 5e-3, ODD)
    assert backend.status() == {"101x66": "tensorrt"}


@pytest.mark.parametrize("works", (True, False))
def test_a_segmenter_goes_over_to_engines_and_loses_no_mask(tmp_path, monkeypatch, works):
    """The program runs in this process, the CUDA backend is PyTorch on the CPU; all else is as on a robot."""

    def run(self, command, report):
        started.release()
        assert go_on.wait(TIMEOUT_S)
        if not works:
            raise BackendError("engines could not be built: no memory")
        assert tensorrt_build.main(command[len(engine_builder.PROGRAM) :]) == 0

    started, go_on = threading.Semaphore(0), threading.Event()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine_builder.EngineBuilder, "_run", run)
    monkeypatch.setattr(engine_builder, "CUDABackend", lambda model, device, precision: TorchBackend(model))
    monkeypatch.setattr(tensorrt_build.os, "nice", lambda by: by)
    model = tiny_model()
    segmenter = Segmenter(
        engine_builder.make(model, "cuda", "f32", live=True),
        SIZE,
        PipelineConfig(mode=Mode.SYNC, scheduler=SchedulerConfig(min_interval=3, max_interval=3)),
    )
    reference = Segmenter(TorchBackend(model), SIZE, segmenter.config)
    try:
        segmenter.prepare()
        for tag in range(12):
            if tag == 5:
                acquire(started)
                assert "is being built for 96x64" in segmenter.backend_status()["state"]
                go_on.set()
                changed, entry = segmenter.backend._changed, segmenter.backend._sizes[SIZE]
                with changed:
                    assert changed.wait_for(lambda: entry.successor or entry.error, 6 * TIMEOUT_S)
            (found,), (wanted,) = (
                segmenter.process(frame(tag, scene=90 + tag)),
                reference.process(frame(tag, scene=90 + tag)),
            )
            assert found.index == tag and (found.mask == wanted.mask).mean() > 0.99
        status = segmenter.backend_status()
        assert status["96x64"] == ("tensorrt" if works else "engines could not be built: no memory")
        assert ("problem" in status) != works
    finally:
        go_on.set()
        segmenter.stop(), reference.stop()
    assert segmenter.backend._thread is None or not segmenter.backend._thread.is_alive()
