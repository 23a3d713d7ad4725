# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of files: model folders and what is made of them, as nodes and commands load them.

Their network has a backbone of its own with few weights, so that a case takes milliseconds.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path

import openvino
import torch

from campaign.file_changes import (
    json_tree,
    safetensors_header,
    safetensors_values,
    yaml_text,
    yaml_tree,
    zip_entries,
)
from campaign.file_kind import Kind
from campaign.mutations import mutated, mutated_head
from dcfm_ros.model import config as model_config
from dcfm_ros.model.backbone_specs import MIT_SPECS, MiTSpec
from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.folder import loaded, save_model, tensors_sha256
from dcfm_ros.model.model_yaml import training_record
from dcfm_ros.model.stored import StoredModel
from dcfm_ros.pipeline.backends.network_cache import write_digests
from dcfm_ros.pipeline.backends.openvino.conversion import convert_model
from dcfm_ros.pipeline.backends.openvino.int8 import Int8Record, int8_folder, int8_graphs
from dcfm_ros.pipeline.backends.openvino.store import GraphStore, cache_folder
from dcfm_ros.pipeline.backends.tensorrt.engine_files import read_engines
from dcfm_ros.pipeline.export.record import ExportRecord, read_record, write_record

SIZE = (64, 96)
MIT_SPECS["mit_tiny"] = model_config.BACKBONES["mit_tiny"] = MiTSpec(
    (1, 1, 1, 1), (8, 8, 16, 16), (1, 1, 2, 2)
)


@cache
def tiny() -> torch.nn.Module:
    """Return a network of some ten thousand weights."""
    torch.manual_seed(0)
    classes = (ClassSpec("road", (128, 64, 128)), ClassSpec("car", (0, 0, 142)))
    return build_model(ModelConfig("mit_tiny", classes, input_height=64, input_width=96, embed=8)).eval()


def model_folder(folder: Path) -> Path:
    """Write a model folder."""
    record = {"iterations": 3, "imported": {"format": "dcfm", "files": ["a.pth"], "untrained": []}}
    return save_model(folder / "model", tiny(), record)  # type: ignore[arg-type]


def _read_settings(folder: Path, out: Path) -> None:
    stored = StoredModel(folder / "model")
    training_record(stored.folder)
    loaded(stored)


def _read_weights(folder: Path, out: Path) -> None:
    stored = StoredModel(folder / "model")
    stored.sha256  # noqa: B018 (read from the file)
    loaded(stored)


@cache
def _graphs() -> dict[str, bytes]:
    """Return the files of the converted network."""
    with tempfile.TemporaryDirectory() as name:
        convert_model(tiny(), Path(name))  # type: ignore[arg-type]
        return {path.name: path.read_bytes() for path in Path(name).iterdir()}


class _Store(GraphStore):
    """A cache in a folder, of which nothing is converted again: a damaged one is forgotten."""

    def __init__(self, folder: Path):
        self._model, self._int8, self._temporary, self._cached = tiny(), None, None, folder  # type: ignore[assignment]

    def _convert(self, out: Path, size: tuple[int, int] | None) -> None:
        for name, content in _graphs().items():
            (out / name).write_bytes(content)


def _make_cache(folder: Path) -> None:
    graphs = _made(folder / "graphs")
    for name, content in _graphs().items():
        (graphs / name).write_bytes(content)
    write_digests(graphs)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _read_cache(folder: Path, out: Path) -> None:
    store = _Store(folder)
    place = cache_folder() / store._key
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        shutil.rmtree(place)
    place.mkdir()
    for path in (folder / "graphs").iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    graphs = store.graphs(_core(), SIZE)
    _use(graphs)


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def _use(graphs: object) -> None:
    """Do with graphs what the backend does before it compiles them."""
    graphs.shallow(), graphs.decoder(), graphs.decoder_weights(), graphs.work()  # type: ignore[attr-defined]
    names = ["shallow", *(name for stage in graphs.stages for name in stage)]  # type: ignore[attr-defined]
    graphs.part([names[0]], "common")  # type: ignore[attr-defined]


def _make_int8(folder: Path) -> None:
    model = model_folder(folder)
    place = _made(model / "openvino_int8")
    for name, content in _graphs().items():
        (place / name).write_bytes(content)
    stored = StoredModel(model)
    known = dict(
        format=1,
        sha256=stored.sha256,
        tensors_sha256=tensors_sha256(tiny()),  # type: ignore[arg-type]
        size=list(SIZE),
        any_size=True,
        source="drive",
        calibration_frames=3,
        checked_frames=3,
        difference=0.01,
        layers={"deep": 3},
        left_out=[],
        versions={"openvino": "x"},
    )
    write_digests(place)
    Int8Record(**known).write(place)  # type: ignore[arg-type]


def _read_int8(folder: Path, out: Path) -> None:
    model = StoredModel(folder / "model")
    _use(int8_graphs(int8_folder(model), _core(), SIZE))


def _make_engines(folder: Path) -> None:
    place = _made(folder / "engines")
    for name in ("shallow", "deep"):
        (place / f"{name}.engine").write_bytes(name.encode() * 100)
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(place.iterdir())}
    tensors = {"image": {"shape": [1, *SIZE, 3], "type": "uint8"}}
    write_record(
        place,
        ExportRecord(
            "tensorrt", "tiny", "0" * 64, "mit_tiny", False, ["road"], SIZE, "f16", tensors, digests, None, {}
        ),
    )


def _read_engines(folder: Path, out: Path) -> None:
    read_engines(folder / "engines")
    read_record(folder / "engines")


_YAML = (mutated, yaml_tree, yaml_tree, yaml_text, yaml_text)
_GRAPH_FILES = ("shallow.xml", "deep.xml", "decoder.xml", "band.xml")
KINDS = (
    Kind("model.yaml", model_folder, {"model/model.yaml": _YAML}, _read_settings, weight=3),
    Kind(
        "weights.safetensors",
        model_folder,
        {
            "model/weights.safetensors": (
                mutated,
                mutated_head,
                safetensors_header,
                safetensors_header,
                safetensors_values,
            )
        },
        _read_weights,
        weight=1.5,
    ),
    Kind(
        "OpenVINO cache",
        _make_cache,
        {
            "graphs/structure.json": (mutated, json_tree, json_tree),
            "graphs/decoder.npz": (mutated, zip_entries),
            **{f"graphs/{name}": (mutated,) for name in _GRAPH_FILES},
            **{f"graphs/{name[:-4]}.bin": (mutated,) for name in _GRAPH_FILES},
        },
        _read_cache,
        weight=0.3,
    ),
    Kind(
        "openvino_int8",
        _make_int8,
        {
            "model/openvino_int8/int8.yaml": _YAML,
            "model/openvino_int8/structure.json": (json_tree,),
            **{f"model/openvino_int8/{name}": (mutated,) for name in _GRAPH_FILES},
        },
        _read_int8,
        weight=0.3,
    ),
    Kind(
        "TensorRT engines",
        _make_engines,
        {"engines/export.yaml": _YAML, "engines/deep.engine": (mutated,)},
        _read_engines,
    ),
)
