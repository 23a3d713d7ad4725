# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`export.yaml`: the record of an export's files and their model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from dcfm_ros.files import sha256_of
from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import model_sha256
from dcfm_ros.model.onnx_export import ExportError, Part, is_per_frame
from dcfm_ros.plain_files import read_yaml

RECORD_FILE = "export.yaml"


@dataclass(frozen=True)
class ExportRecord:
    format: str  # onnx, openvino or tensorrt
    model: str  # its name or folder
    model_sha256: str  # of settings and weights
    backbone: str
    per_frame: bool  # no decoder: the deep path gives the logits
    classes: list[str]
    size: tuple[int, int]  # (H, W) of the image
    precision: str  # f32 or f16
    tensors: dict[str, dict]  # shape and type of each input and output
    sha256: dict[str, str]  # of each file
    differences: (
        dict[str, float] | None
    )  # of each part's output to PyTorch in f32, |a - b| / |b|; None: not checked
    versions: dict[str, str]


def make_record(
    folder: Path,
    files: list[Path],
    format: str,
    model: Model,
    name: str,
    parts: list[Part],
    precision: str,
    differences: dict[str, float] | None,
    versions: dict[str, str],
) -> ExportRecord:
    tensors = {
        key: tensor
        for part in parts
        for key, tensor in (*part.inputs.items(), (part.output_name, part.output))
    }
    return ExportRecord(
        format,
        name,
        model_sha256(model),
        model.config.backbone,
        is_per_frame(model),
        [c.name for c in model.config.classes],
        (tensors["image"].shape[1], tensors["image"].shape[2]),
        precision,
        {
            key: {"shape": list(tensor.shape), "type": str(tensor.dtype).removeprefix("torch.")}
            for key, tensor in tensors.items()
        },
        {str(file.relative_to(folder)): sha256_of(file) for file in files},
        differences,
        versions,
    )


def write_record(folder: Path, record: ExportRecord) -> None:
    plain = asdict(record)
    plain["size"] = list(record.size)
    (folder / RECORD_FILE).write_text(yaml.safe_dump(plain, sort_keys=False))


def read_record(folder: Path) -> ExportRecord:
    path = folder / RECORD_FILE
    try:
        plain = read_yaml(path)
        record = ExportRecord(**plain)
        height, width = record.size
        if not (isinstance(record.sha256, dict) and record.sha256):
            raise ValueError("it names no files")
        for name in record.sha256:
            if not isinstance(name, str) or Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"it names the file {name!r}")
    except (TypeError, ValueError) as error:
        raise ExportError(f"{path} is not what an export writes ({error}): export again") from error
    return ExportRecord(**{**plain, "size": (height, width)})
