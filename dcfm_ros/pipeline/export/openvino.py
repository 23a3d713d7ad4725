# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export of a model's parts as OpenVINO models: `<part>.xml` and `<part>.bin`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino

from dcfm_ros.model.onnx_export import Part
from dcfm_ros.pipeline.backends.openvino.conversion import converted
from dcfm_ros.pipeline.backends.openvino.signal_stack import kept_signal_stack


def write_openvino_parts(
    parts: list[Part], folder: Path, precision: str
) -> tuple[list[Path], Callable[[Part], np.ndarray]]:
    """Write the files; returns them, and a function that runs a part on the CPU.

    In f16, weights and tensors between the parts are float16; a device that computes in float32 may still do
    so.
    """
    files: list[Path] = []
    for part in parts:
        network = converted(part.module, *part.inputs.values())
        for port, name in zip([*network.inputs, *network.outputs], [*part.inputs, part.output_name]):
            port.get_tensor().set_names({name})
        path = folder / f"{part.name}.xml"
        openvino.save_model(network, path, compress_to_fp16=precision == "f16")
        files += [path, path.with_suffix(".bin")]
    core = openvino.Core()

    def run(part: Part) -> np.ndarray:
        with kept_signal_stack():  # the first call loads the CPU plugin
            network = core.compile_model(
                folder / f"{part.name}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
            )
        return network([tensor.numpy() for tensor in part.inputs.values()])[0]

    return files, run
