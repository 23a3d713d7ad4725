# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `dcfm export`. Without heavy libraries, so that its help text is quick."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.pipeline.settings import DEFAULT_MODEL
from dcfm_ros.setting_fields import check, setting

FORMATS = ("onnx", "openvino", "tensorrt")
PRECISIONS = ("f32", "f16")  # in which networks can be written as ONNX
INT8 = "int8"  # with format openvino


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
    precision: str = setting(
        "f32",
        "precision of the networks' arithmetic; int8, with format openvino: a model folder with quantised "
        "networks, for precision:=int8 of the node",
        choices=(*PRECISIONS, INT8),
    )
    device: str = setting("cuda", "GPU of tensorrt: cuda or cuda:N")
    calibrate: str = setting(
        "",
        "for int8: images by which networks are quantised, some hundreds as the camera sees them: any source "
        "of `dcfm segment`",
        metavar="SOURCE",
    )
    calibration_frames: int = setting(
        300, "for int8: number of images, taken evenly from the source", low=2, high=100000, metavar="N"
    )
    max_difference: float = setting(
        1.5,
        "for int8: greatest share of pixels that may get another class than in f32; steps stay in f32 until "
        "it holds",
        low=0,
        high=100,
        unit="percent",
    )

    def __post_init__(self):
        check(self)
        if not self.out and self.format != "tensorrt":
            raise ValueError(f"format {self.format} needs a folder to write to: give --out FOLDER")
        is_int8 = self.precision == INT8
        if is_int8 and self.format != "openvino":
            raise ValueError(f"format {self.format} has no precision int8: give --format openvino")
        if is_int8 and not self.calibrate:
            raise ValueError("precision int8 needs images to quantise by: give --calibrate SOURCE")
        if self.calibrate and not is_int8:
            raise ValueError("--calibrate is for int8: give --precision int8, or leave it out")
