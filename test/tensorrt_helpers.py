# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for TensorRT: its "engines" are ONNX files, which ONNX Runtime runs on the CPU. And a CUDA
stream that is none.

It has what dcfm_ros calls, as the bindings have it, and nothing else; test_tensorrt_names.py holds its names
against theirs.
"""

from __future__ import annotations

import ctypes
import enum
import sys
import types
from contextlib import contextmanager, nullcontext
from importlib.machinery import ModuleSpec

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from cuda_helpers import FakeEvent
from onnx_helpers import keep_onnx

from dcfm_ros.pipeline.backends.cuda import torch_kernels
from dcfm_ros.pipeline.backends.tensorrt import backend as tensorrt
from dcfm_ros.pipeline.backends.tensorrt import build_program as tensorrt_build
from dcfm_ros.pipeline.backends.tensorrt.backend import EngineStream
from dcfm_ros.pipeline.export import export

ENGINE = b"engine of a stand-in:"


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity


class IProgressMonitor:
    pass


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(enum.Enum):
    TF32 = 0


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = 1, 2


class DataType(enum.Enum):
    FLOAT, HALF, UINT8 = np.float32, np.float16, np.uint8


class INetworkDefinition:
    pass


class IBuilderConfig:
    progress_monitor = None
    flags = 1 << BuilderFlag.TF32.value

    def clear_flag(self, flag):
        self.flags &= ~(1 << flag.value)


class Builder:
    def __init__(self, logger):
        self._logger = logger

    def create_network(self, flags=0):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED, (
            "precision would not be that of the ONNX file"
        )
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        assert config.flags == 0, "TF32 is on"
        if network._onnx.producer_name == "unbuildable":
            self._logger.log(Severity.ERROR, "no kernel for Gelu")
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building Engine", None, 2)
        monitor.phase_start("Tactic Selection", "Building Engine", 5)
        assert monitor.step_complete("Tactic Selection", 0) and monitor.step_complete("Building Engine", 0)
        monitor.phase_finish("Tactic Selection")
        monitor.step_complete("Building Engine", 1)
        monitor.phase_finish("Building Engine")
        return memoryview(ENGINE + network._onnx.SerializeToString())  # IHostMemory has the buffer protocol


class ParserError:
    def desc(self):
        return "not an ONNX model"


class OnnxParser:
    def __init__(self, network, logger):
        self._network, self.num_errors = network, 0

    def parse_from_file(self, model):
        try:
            self._network._onnx = onnx.load(model)
            onnx.checker.check_model(self._network._onnx)
        except Exception:
            self.num_errors = 1
        return not self.num_errors

    def get_error(self, index):
        return ParserError()


class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine):
        if not serialized_engine.startswith(ENGINE):
            self._logger.log(Severity.ERROR, "magic tag does not match")
            return None
        return ICudaEngine(serialized_engine[len(ENGINE) :])


class ICudaEngine:
    def __init__(self, plan):
        self._session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
        self._tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
        self.num_io_tensors = len(self._tensors)

    def _tensor(self, name):
        return next(tensor for tensor in self._tensors if tensor.name == name)

    def get_tensor_name(self, index):
        return self._tensors[index].name

    def get_tensor_mode(self, name):
        return (
            TensorIOMode.OUTPUT if self._tensor(name) in self._session.get_outputs() else TensorIOMode.INPUT
        )

    def get_tensor_shape(self, name):
        return self._tensor(name).shape

    def get_tensor_dtype(self, name):
        return {
            "tensor(float)": DataType.FLOAT,
            "tensor(float16)": DataType.HALF,
            "tensor(uint8)": DataType.UINT8,
        }[self._tensor(name).type]

    def create_execution_context(self):
        return IExecutionContext(self)


class IExecutionContext:
    failing = False

    def __init__(self, engine):
        self._engine, self._addresses = engine, {}

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        assert isinstance(stream_handle, int) and stream_handle, "the default stream synchronises"
        if IExecutionContext.failing:
            return False
        engine = self._engine
        arrays = {tensor.name: self._array(tensor.name) for tensor in engine._tensors}
        output = engine._session.get_outputs()[0].name
        arrays[output][:] = engine._session.run(
            [output], {tensor.name: arrays[tensor.name] for tensor in engine._session.get_inputs()}
        )[0]
        return True

    def _array(self, name):
        shape, dtype = (
            self._engine.get_tensor_shape(name),
            np.dtype(self._engine.get_tensor_dtype(name).value),
        )
        memory = (ctypes.c_char * (int(np.prod(shape)) * dtype.itemsize)).from_address(self._addresses[name])
        return np.frombuffer(memory, dtype).reshape(shape)


CLASSES = (
    ILogger,
    IProgressMonitor,
    NetworkDefinitionCreationFlag,
    BuilderFlag,
    TensorIOMode,
    DataType,
    INetworkDefinition,
    IBuilderConfig,
    Builder,
    ParserError,
    OnnxParser,
    Runtime,
    ICudaEngine,
    IExecutionContext,
)


def stand_in(version: str = "11.4.0.106") -> types.ModuleType:
    """The module."""
    module = types.ModuleType("tensorrt")
    module.__version__, module.__spec__ = version, ModuleSpec("tensorrt", None)
    for kind in CLASSES:
        setattr(module, kind.__name__, kind)
    return module


class NoStream(EngineStream):
    """A stream where all is done at once, on the CPU."""

    def __init__(self, device, priority):
        self._place = torch.device("cpu")

    @contextmanager
    def open(self, work):
        with torch.inference_mode():
            yield

    def run(self, engine, **inputs):
        return engine.run(inputs, 1)

    def wait(self, event):
        event.synchronize()

    def mark(self, blocking=False):
        return FakeEvent()

    def host_memory(self, count):
        return torch.empty(count, dtype=torch.uint8)


def without_tensorrt(patch: pytest.MonkeyPatch) -> None:
    """Replace TensorRT, the GPU and its streams by stand-ins. ONNX files are kept with the tests' caches."""
    keep_onnx(patch, tensorrt_build)
    patch.setitem(sys.modules, "tensorrt", stand_in())
    for module in (tensorrt_build, export):
        patch.setattr(module, "gpu_name", lambda device: "NVIDIA Paper 9.9")
    patch.setattr(torch.cuda, "device", lambda device: nullcontext())
    patch.setattr(tensorrt, "EngineStream", NoStream)
    patch.setattr(tensorrt_build, "EngineStream", NoStream)
    patch.setattr(tensorrt, "pixel_kernels", lambda: torch_kernels)
