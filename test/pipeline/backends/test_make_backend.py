# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of the backend, and error messages for unavailable ones."""

import importlib.util
import sys

import pytest
from helpers import tiny_model

from dcfm_ros.pipeline import backends
from dcfm_ros.pipeline.backends import BACKENDS, BackendError, make_backend

find_spec = importlib.util.find_spec


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(backends, "sees_gpu", lambda: False)


@pytest.fixture
def no_openvino(monkeypatch):
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "openvino" else find_spec(name, *rest),
    )


def refused(name, device="cpu", precision="auto"):
    with pytest.raises(BackendError) as error:
        make_backend(name, tiny_model(), device, precision)
    return str(error.value)


def test_torch_on_the_cpu():
    backend = make_backend("torch", tiny_model(), "cpu")
    assert (backend.name, backend.device) == ("torch", "cpu")


def test_auto_takes_openvino_on_a_cpu(no_gpu):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    assert make_backend("auto", tiny_model()).name == "openvino"


def test_auto_without_openvino_takes_torch(no_gpu, no_openvino):
    backend = make_backend("auto", tiny_model())
    assert (backend.name, backend.device) == ("torch", "cpu")


def test_unknown_backend():
    assert refused("tflite") == f"unknown backend 'tflite': use one of {', '.join(BACKENDS)}"


def test_unknown_device():
    assert refused("torch", "tpu") == "unknown device 'tpu': use auto, cpu, cuda or cuda:N"


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("name", BACKENDS)
def test_gpu_that_is_not_there(name, device, no_gpu):
    message = refused(name, device)
    assert f"device {device!r}" in message and "no GPU" in message and "device cpu" in message


def test_openvino_that_is_not_installed(no_openvino):
    assert (
        refused("openvino")
        == "backend 'openvino' is not installed: pip install openvino, or use backend torch"
    )


def test_openvino_does_not_run_on_a_gpu(monkeypatch):
    monkeypatch.setattr(backends, "sees_gpu", lambda: True)
    assert refused("openvino", "cuda") == (
        "backend 'openvino' needs a CPU, and does not run on 'cuda': use backend torch or tensorrt"
    )


def test_model_in_training_mode_is_refused():
    with pytest.raises(ValueError, match="evaluation mode"):
        make_backend("torch", tiny_model().train(), "cpu")


def test_unknown_precision():
    assert refused("torch", precision="fp8") == (
        "unknown precision 'fp8': use one of auto, f32, bf16, f16, int8"
    )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "f16", "int8"])
def test_torch_on_a_cpu_computes_in_f32(precision, no_gpu):
    assert refused("torch", precision=precision) == (
        f"precision {precision!r}: backend 'torch' computes in f32 on a CPU; use precision f32"
    )
    assert make_backend("torch", tiny_model(), "cpu").precision == "f32"


def capabilities(monkeypatch, *names):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

    class Core:
        def get_property(self, device, name):
            return list(names)

    monkeypatch.setattr(openvino, "Core", Core)


@pytest.mark.slow
def test_openvino_computes_in_what_the_processor_is_made_for(monkeypatch):
    capabilities(monkeypatch, "FP32", "INT8", "BF16")
    assert make_backend("openvino", tiny_model()).precision == "bf16"
    assert make_backend("openvino", tiny_model(), precision="f32").precision == "f32"
    capabilities(monkeypatch, "FP32", "INT8")
    assert make_backend("openvino", tiny_model()).precision == "f32"
    assert refused("openvino", precision="bf16") == (
        "precision 'bf16': this processor does not compute in it; use precision f32"
    )
    capabilities(monkeypatch, "FP32")
    assert refused("openvino", precision="int8") == (
        "precision 'int8': this processor does not compute in it; use precision f32"
    )


def test_tensorrt_needs_a_gpu(no_gpu):
    assert (
        refused("tensorrt", "cpu")
        == refused("tensorrt", "auto")
        == ("backend 'tensorrt' needs an NVIDIA GPU that PyTorch sees: use backend openvino or torch")
    )


@pytest.fixture
def a_gpu(monkeypatch):
    monkeypatch.setattr(backends, "sees_gpu", lambda: True)


def test_tensorrt_that_is_not_installed(a_gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert refused("tensorrt", "cuda") == (
        "backend 'tensorrt' is not installed: pip install tensorrt-cu12 or tensorrt-cu13, as your driver's "
        "CUDA, or use backend torch"
    )


@pytest.mark.parametrize("live", (True, False))
def test_tensorrt_with_torch_for_the_time_of_building(a_gpu, monkeypatch, live):
    tensorrt_helpers = pytest.importorskip("tensorrt_helpers", reason="ONNX Runtime is not installed")
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt_helpers.stand_in())
    backend = make_backend("tensorrt", tiny_model(), "cuda:1", live=live)
    assert (backend.name, backend.device, backend.precision) == ("tensorrt", "cuda:1", "f16")
    assert (backend._make_predecessor is not None) == live
    with pytest.raises(BackendError, match="precision 'bf16': backend 'tensorrt' computes in f32 or f16"):
        make_backend("tensorrt", tiny_model(), "cuda", "bf16")
