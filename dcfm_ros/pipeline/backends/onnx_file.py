# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs an ONNX file as it is: by ONNX Runtime, or by OpenVINO where that alone is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcfm_ros.pipeline.backends.base import BackendError

_KINDS: dict[str, np.dtype] = {"tensor(float)": np.dtype(np.float32), "tensor(uint8)": np.dtype(np.uint8)}


class OnnxFile:
    """A network with one input, float32 or uint8; its first output is used.

    shape: of the input, None for sides that may have any length
    dtype: of the input
    """

    def __init__(self, path: Path):
        """Load the file. Raises BackendError, which names the file and the remedy."""
        if not path.is_file():
            raise BackendError(f"there is no file {path}: give an ONNX file")
        self.shape: tuple[int | None, ...]
        self.dtype: np.dtype
        self._path = path
        self._run: Callable[[np.ndarray], np.ndarray]
        try:
            import onnxruntime  # noqa: F401
        except ModuleNotFoundError:
            self._load_into_openvino(path)
        else:
            self._load_into_onnxruntime(path)

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Return the first output of an input. Raises BackendError."""
        try:
            return self._run(pixels)
        except Exception as error:  # what is found while it runs, such as no output at all
            raise _unreadable(self._path, error) from error

    def _load_into_onnxruntime(self, path: Path) -> None:
        import onnxruntime

        try:
            session = onnxruntime.InferenceSession(str(path), providers=onnxruntime.get_available_providers())
        except Exception as error:  # its errors have no common class
            raise _unreadable(path, error) from error
        inputs = session.get_inputs()
        _require_one(path, len(inputs))
        name, kind = inputs[0].name, _KINDS.get(inputs[0].type)
        if kind is None:
            raise _other_kind(path, inputs[0].type)
        self.dtype, self._run = kind, lambda pixels: session.run(None, {name: pixels})[0]
        self.shape = tuple(side if isinstance(side, int) and side > 0 else None for side in inputs[0].shape)

    def _load_into_openvino(self, path: Path) -> None:
        try:
            import openvino
        except ModuleNotFoundError:
            raise BackendError(
                f"{path}: neither ONNX Runtime nor OpenVINO is installed; `pip install onnxruntime`"
            ) from None
        try:
            model = openvino.Core().read_model(path)
            compiled = openvino.Core().compile_model(model, "CPU")
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        _require_one(path, len(model.inputs))
        kind = np.dtype(model.inputs[0].element_type.to_dtype())
        if kind not in _KINDS.values():
            raise _other_kind(path, str(kind))
        self.dtype, self._run = kind, lambda pixels: compiled(pixels)[0]
        self.shape = tuple(
            None if side.is_dynamic else side.get_length() for side in model.inputs[0].partial_shape
        )


def _require_one(path: Path, count: int) -> None:
    if count != 1:
        raise BackendError(f"{path} has {count} inputs: a network for images takes one")


def _other_kind(path: Path, kind: str) -> BackendError:
    return BackendError(f"{path}: its input is {kind}; export the network with float32 or uint8 images")


def _unreadable(path: Path, error: Exception) -> BackendError:
    reason = " ".join(str(error).split())[:200]
    return BackendError(f"{path} cannot be loaded as an ONNX network ({reason}): export it again")
