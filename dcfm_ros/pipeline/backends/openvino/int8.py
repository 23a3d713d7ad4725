# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quantised graphs of a model, in a folder of its own in the model's folder, with their record. Needs neither
NNCF nor PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import openvino
import yaml

from dcfm_ros.model.stored import INT8_FOLDER, AnyModel, StoredModel
from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.network_cache import check_digests
from dcfm_ros.pipeline.backends.openvino.graphs import Graphs
from dcfm_ros.plain_files import read_yaml

INT8_RECORD = "int8.yaml"
FORMAT = 1  # of the graphs: their names, inputs and outputs


@dataclass(frozen=True)
class Int8Record:
    """What is known of quantised graphs."""

    format: int
    sha256: str  # of the model's settings and weights file
    tensors_sha256: str  # of its weights as tensors
    size: list[int]  # (H, W) of the images
    any_size: bool  # the graphs hold for images of other sizes, too
    source: str  # of the images
    calibration_frames: int
    checked_frames: int  # others of the same source
    difference: float  # share of pixels with another class than in f32, on the checked frames
    layers: dict[str, int]  # number of quantised ones of each part
    left_out: list[str]  # parts and steps that were not quantised because of the difference
    versions: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Int8Record:
        path = folder / INT8_RECORD
        try:
            return cls(**read_yaml(path))
        except (OSError, TypeError, ValueError) as error:
            raise BackendError(
                f"{path} is not what an export writes ({error}): {_remedy(folder.parent)}"
            ) from error

    def write(self, folder: Path) -> None:
        (folder / INT8_RECORD).write_text(yaml.safe_dump(asdict(self), sort_keys=False))


def int8_folder(model: AnyModel) -> Path:
    """Return the folder of a model's quantised graphs; raises BackendError if there are none that fit it."""
    if model.folder is None:
        raise BackendError(
            "precision 'int8': networks are quantised before they are used, and this model is in no folder; "
            "use precision auto"
        )
    folder = model.folder / INT8_FOLDER
    if not folder.is_dir():
        raise BackendError(
            f"precision 'int8': {model.folder} has no quantised networks: {_remedy(model.folder)}; or use "
            "precision auto"
        )
    record = Int8Record.read(folder)
    if record.format != FORMAT:
        raise BackendError(f"{folder} was written by another version of dcfm_ros: {_remedy(model.folder)}")
    if not _fits(record, model, model.folder):
        raise BackendError(
            f"{folder} was made from other weights or settings than those of {model.folder}: "
            f"{_remedy(model.folder)}"
        )
    try:
        check_digests(folder)
    except FileNotFoundError:  # of an export by an older version
        pass
    except (OSError, ValueError) as error:
        raise BackendError(f"{folder} is damaged or incomplete: {_remedy(model.folder)}") from error
    return folder


def int8_graphs(folder: Path, core: openvino.Core, size: tuple[int, int]) -> Graphs:
    """Return the quantised graphs for images of size (H, W)."""
    record = Int8Record.read(folder)
    if not record.any_size and list(size) != record.size:
        height, width = size
        raise BackendError(
            f"{folder} is for images of {record.size[1]}x{record.size[0]} alone, not of {width}x{height}: "
            f"{_remedy(folder.parent)} with --size {height}x{width}"
        )
    try:
        return Graphs(core, folder, size)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise BackendError(f"{folder} is damaged or incomplete: {_remedy(folder.parent)}") from error


def _fits(record: Int8Record, model: AnyModel, folder: Path) -> bool:
    if isinstance(model, StoredModel):
        return model.sha256 == record.sha256
    from dcfm_ros.model.folder import tensors_sha256

    return tensors_sha256(model) == record.tensors_sha256 and StoredModel(folder).sha256 == record.sha256


def _remedy(model: Path) -> str:
    return f"run `dcfm export {model} --format openvino --precision int8 --calibrate SOURCE --out FOLDER`"
