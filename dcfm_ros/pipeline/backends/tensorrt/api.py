# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10 and 11: builds an engine from an ONNX file and runs it. The only module that calls TensorRT's
Python API.

This code has not been run with TensorRT itself. `test/pipeline/backends/tensorrt/test_tensorrt_names.py`
checks every name in it against the published bindings; it infers an object's class from the name of its
variable (`builder` is a `Builder`, and so on). The versions differ in one respect: version 10 makes a network
strongly typed, with the precisions of the ONNX file, only on request.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.tensorrt.engine_files import DamagedEngines

MAJOR_VERSIONS = ("10", "11")
_log = logging.getLogger(__name__)


def tensorrt() -> Any:
    """Import and return TensorRT; raises a BackendError that says what to install."""
    try:
        import tensorrt as trt
    except ImportError as error:
        raise BackendError(
            f"TensorRT cannot be loaded ({error}): pip install tensorrt-cu12 or tensorrt-cu13, as your "
            "driver's CUDA, or use backend torch"
        ) from error
    if trt.__version__.split(".")[0] not in MAJOR_VERSIONS:
        raise BackendError(
            f"TensorRT {trt.__version__} is not supported: install {' or '.join(MAJOR_VERSIONS)}, or use "
            "backend torch"
        )
    return trt


def build_engine(onnx_file: Path, report: Callable[[str, float], None]) -> bytes:
    """Build the serialised engine of an ONNX file for this GPU. Takes seconds to many minutes.

    report(phase, share): called with TensorRT's phase and its progress (0 to 1), on threads of TensorRT
    """
    trt = tensorrt()
    logger = _logger(trt)
    builder = _started(trt.Builder, logger)
    # the default in 11
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx_file)):
        errors = [parser.get_error(number).desc() for number in range(parser.num_errors)]
        raise BackendError(
            f"TensorRT {trt.__version__} cannot read {onnx_file.name}: {'; '.join(errors) or logger.last}"
        )
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # f32 is float32, as in all backends
    config.progress_monitor = monitor = _monitor(trt, report)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BackendError(f"TensorRT {trt.__version__} cannot build {onnx_file.name}: {logger.last}")
    del monitor  # has to outlive the build
    return bytes(engine)


class Engine:
    """An engine on the GPU with one execution context, for one thread at a time, on any stream."""

    def __init__(self, plan: bytes, name: str):
        trt = tensorrt()
        self._name, self._logger = name, _logger(trt)
        self._runtime = runtime = _started(trt.Runtime, self._logger)
        self._engine = engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise DamagedEngines(
                f"TensorRT {trt.__version__} cannot load the engine {name}: {self._logger.last}"
            )
        self._context = engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"no memory on the GPU for the engine {name}: {self._logger.last}")
        types = {
            trt.DataType.FLOAT: torch.float32,
            trt.DataType.HALF: torch.float16,
            trt.DataType.UINT8: torch.uint8,
        }
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        self._tensors = {
            name: (tuple(engine.get_tensor_shape(name)), types[engine.get_tensor_dtype(name)])
            for name in names
        }
        self.outputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]

    def run(self, inputs: dict[str, Tensor], stream: int) -> Tensor:
        """Enqueue on a CUDA stream (its handle) and return the output tensor, which is computed
        asynchronously.

        Tensors must have the engine's device, types and shapes, be contiguous, and stay alive until the
        stream has processed them.
        """
        context, output = self._context, self.outputs[0]
        for name, tensor in inputs.items():
            if (tuple(tensor.shape), tensor.dtype) != self._tensors[name]:
                raise ValueError(
                    f"engine {self._name}: {name} is {tuple(tensor.shape)} {tensor.dtype}, built for "
                    f"{' '.join(map(str, self._tensors[name]))}"
                )
            context.set_tensor_address(name, tensor.data_ptr())
        shape, dtype = self._tensors[output]
        result = torch.empty(shape, dtype=dtype, device=next(iter(inputs.values())).device)
        context.set_tensor_address(output, result.data_ptr())
        if not context.execute_async_v3(stream):
            raise RuntimeError(f"TensorRT failed to run {self._name}: {self._logger.last}")
        return result


def _started(kind: Any, logger: Any) -> Any:
    """Return kind(logger). If TensorRT fails to create it, its bindings raise an uninformative TypeError."""
    try:
        return kind(logger)
    except TypeError as error:
        raise BackendError(
            f"TensorRT cannot start ({logger.last}): is it built for the CUDA version of the driver?"
        ) from error


def _logger(trt: Any) -> Any:
    """Return a logger that forwards TensorRT's log to the package's and keeps the last errors for
    messages."""
    levels = {
        trt.ILogger.Severity.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.Severity.ERROR: logging.ERROR,
        trt.ILogger.Severity.WARNING: logging.WARNING,
    }

    class Logger(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=3)

        def log(self, severity, message: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if level == logging.ERROR:
                self._errors.append(message)
            _log.log(level, "TensorRT: %s", message)

        @property
        def last(self) -> str:
            return "; ".join(self._errors) or "no reason given"

    return Logger()


def _monitor(trt: Any, report: Callable[[str, float], None]) -> Any:
    """Return a monitor that reports the progress of the outermost phases. TensorRT calls it on several
    threads."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self):
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}  # of outermost phases
            self._lock = threading.Lock()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                if not parent_phase:
                    self._steps[phase_name] = num_steps
                    report(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                if phase_name in self._steps:
                    report(phase_name, (step + 1) / max(self._steps[phase_name], 1))
            return True  # never cancels: an unwanted build ends with its process

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                if self._steps.pop(phase_name, None) is not None:
                    report(phase_name, 1.0)

    return Monitor()
