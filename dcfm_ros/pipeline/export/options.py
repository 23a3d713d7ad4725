# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `dcfm export`. Without heavy libraries, so that its help text is quick."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.pipeline.settings import DEFAULT_MODEL
from dcfm_ros.setting_fields import check, setting

FORMATS = ("onnx", "openvino", "tensorrt")
PRECISIONS = ("f32", "f16")  # in which networks can be written as ONNX


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export."""

    model: str = setting(DEFAULT_MODEL, "built-in model name or model folder", positional=True, required=True)
    format: str = setting(
        "onnx", "format of the files; tensorrt: engines for this machine's GPU", choices=FORMATS
    )
    out: str = setting(
        "", "folder to write; without it engines go to where the node looks for them", metavar="FOLDER"
    )
    size: tuple[int, int] | None = setting(
        None,
        "size of the network's input, as in 352x480; default: as for a camera of the model's shape",
        low=32,
        high=8192,
        unit="pixels",
    )
    precision: str = setting("f32", "precision of the networks' arithmetic", choices=PRECISIONS)
    device: str = setting("cuda", "GPU of tensorrt: cuda or cuda:N")

    def __post_init__(self):
        check(self)
        if not self.out and self.format != "tensorrt":
            raise ValueError(f"format {self.format} needs a folder to write to: give --out FOLDER")
