# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of files: checkpoints and ONNX networks of others, as `dcfm import`, `train` and `distil` read
them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from campaign.file_changes import json_tree, pickle_in_zip, pickle_that_calls, safetensors_header
from campaign.file_kind import Kind
from campaign.mutations import mutated, mutated_head
from dcfm_ros.distillation.onnx_teacher import OnnxTeacher
from dcfm_ros.distillation.options import LabellingOptions
from dcfm_ros.model.importing.import_model import read_file, read_model
from dcfm_ros.model.importing.recognition import recognised
from dcfm_ros.training.checkpoint import _state

_FEW = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(3), "a.count": torch.tensor(3)}


def _few(folder: Path, name: str, old: bool = False) -> None:
    content = {"meta": {"CLASSES": ("a", "b")}, "state_dict": _FEW, "optimizer": {"state": {0: {"step": 9}}}}
    if name.endswith(".safetensors"):
        save_file(_FEW, folder / name)
    else:
        torch.save(content, folder / name, _use_new_zipfile_serialization=not old)


def _read_few(folder: Path, out: Path) -> None:
    """Read the state dict; what it is of is not known, and so it is refused in the end."""
    (path,) = folder.iterdir()
    checkpoint = read_file(path)
    for tensor in checkpoint.tensors.values():
        if tensor.numel() < 1000:
            str(tensor)
    if not checkpoint.tensors.keys() >= {"a.weight"}:
        recognised([checkpoint], "auto", "")


def _hugging_face(folder: Path) -> None:
    from importing_helpers import hugging_face, per_frame

    place = folder / "model"
    place.mkdir()
    tensors = hugging_face(per_frame(embed=8))
    save_file(
        {name: tensor.half().contiguous() for name, tensor in tensors.items()}, place / "model.safetensors"
    )
    config = {
        "model_type": "segformer",
        "architectures": ["SegformerForSemanticSegmentation"],
        "hidden_act": "gelu",
        "num_attention_heads": [1, 2, 5, 8],
        "id2label": {"0": "sky", "1": "road", "2": "tree", "3": "car"},
    }
    (place / "config.json").write_text(json.dumps(config))
    settings = {"do_resize": True, "size": {"height": 64, "width": 96}, "image_mean": [0.5, 0.5, 0.5]}
    (place / "preprocessor_config.json").write_text(json.dumps(settings))


def _read_model(folder: Path, out: Path) -> None:
    read_model([folder / "model"])


def _shards(folder: Path) -> None:
    place = folder / "model"
    place.mkdir()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name, (key, tensor) in zip(names, _FEW.items()):
        save_file({key: tensor}, place / name)
    index = {"metadata": {"total_size": 9}, "weight_map": dict(zip(_FEW, names))}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))


def _read_shards(folder: Path, out: Path) -> None:
    read_file(folder / "model")


def _training(folder: Path) -> None:
    state = {"configuration": json.dumps({"phases": [], "seed": 0}), "iteration": 3, "model": _FEW}
    torch.save(state, folder / "state.pt")


def _read_training(folder: Path, out: Path) -> None:
    _state(folder / "state.pt")


def _onnx(folder: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4, 3, 1, 1], [0.1 * n for n in range(12)])
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["logits"])],
        "segmenter",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 24])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 4, 16, 24])],
        [weights],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "a.onnx"
    )


def _read_onnx(folder: Path, out: Path) -> None:
    OnnxTeacher(LabellingOptions(str(folder / "a.onnx"), (str(folder),), str(out)))


KINDS = (
    Kind(
        "checkpoint .pth",
        partial(_few, name="a.pth"),
        {"a.pth": (mutated, mutated_head, pickle_in_zip, pickle_in_zip, pickle_that_calls)},
        _read_few,
        weight=3,
    ),
    Kind(
        "checkpoint .pth of old PyTorch",
        partial(_few, name="a.pth", old=True),
        {"a.pth": (mutated, mutated, mutated_head, pickle_that_calls)},
        _read_few,
    ),
    Kind(
        "checkpoint .safetensors",
        partial(_few, name="a.safetensors"),
        {"a.safetensors": (mutated, mutated_head, safetensors_header, safetensors_header)},
        _read_few,
        weight=2,
    ),
    Kind(
        "checkpoint of Hugging Face",
        _hugging_face,
        {
            "model/config.json": (mutated, json_tree, json_tree),
            "model/preprocessor_config.json": (mutated, json_tree, json_tree),
            "model/model.safetensors": (safetensors_header,),
        },
        _read_model,
        weight=0.1,
    ),
    Kind(
        "shards",
        _shards,
        {
            "model/model.safetensors.index.json": (mutated, json_tree),
            "model/model-00001-of-00002.safetensors": (mutated,),
        },
        _read_shards,
        weight=0.5,
    ),
    Kind(
        "state of a training",
        _training,
        {"state.pt": (mutated, pickle_in_zip, pickle_that_calls)},
        _read_training,
    ),
    Kind("ONNX", _onnx, {"a.onnx": (mutated, mutated)}, _read_onnx, weight=1),
)
