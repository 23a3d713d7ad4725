# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer of Hugging Face `transformers`: output of `save_pretrained` (`config.json` beside the weights),
and state dicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from dcfm_ros.model.backbone_specs import MIT_SPECS
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.model.folder import some
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.class_names import classes_of
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.hugging_face_names import SIGNS, names_in, saved
from dcfm_ros.model.importing.json_file import read_json
from dcfm_ros.model.importing.layout import Layout, closest_backbone, shape
from dcfm_ros.model.importing.preprocessor import SHIFTED, read_preprocessor
from dcfm_ros.model.importing.shards import INDEX, has_shards
from dcfm_ros.model.per_frame import PerFrame

__all__ = [
    "CONFIG",
    "SIGNS",
    "WEIGHTS",
    "exported",
    "refuse_other_architectures",
    "understand",
    "weights_file",
]

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CONFIG, ADAPTER = "config.json", "adapter_config.json"
ENDINGS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")

# transformers builds every LayerNorm with PyTorch's default; `layer_norm_eps` of config.json is unused.
EPS = 1e-5

# Settings that shapes do not reveal. Another value would silently give other outputs.
REQUIRED = {
    "hidden_act": "gelu",
    "num_attention_heads": [1, 2, 5, 8],
    "sr_ratios": [8, 4, 2, 1],
    "patch_sizes": [7, 3, 3, 3],
    "strides": [4, 2, 2, 2],
    "num_channels": 3,
}


def weights_file(folder: Path) -> Path:
    """Return the weights in a folder, or the index of their shards. If both formats are there they are the
    same, and safetensors, the safer one, is used."""
    for name in (weights + ending for weights in WEIGHTS for ending in ("", INDEX)):
        if (folder / name).is_file():
            return folder / name
    refuse_other_architectures(folder / CONFIG)
    files = sorted(path.name for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())
    folders = sorted(path.name for path in folder.iterdir() if (path / CONFIG).is_file())
    if (folder / ADAPTER).is_file():
        lacks, remedy = (
            "holds an adapter (LoRA) by itself",
            "merge_and_unload() it, and give what save_pretrained makes of that",
        )
    elif has_shards(folder):
        lacks, remedy = (
            "holds shards but not their index",
            f"copy or download {WEIGHTS[0]}{INDEX} or {WEIGHTS[1]}{INDEX}, too",
        )
    else:
        lacks = f"holds neither {' nor '.join(WEIGHTS)}"
        remedy = (
            f"give one of its folders: {some(folders)}"
            if folders
            else f"give the file, or of published DCFM both: {some(files)}"
            if files
            else "give a folder in which save_pretrained wrote PyTorch weights, or a file"
        )
    raise CheckpointError(f"{folder} {lacks}; {remedy}")


def refuse_other_architectures(path: Path) -> None:
    """Raise CheckpointError if `path`, a config.json that may be missing, describes another model."""
    config = read_json(path)
    if (kind := config.get("model_type", "segformer")) != "segformer":
        named = config.get("architectures")
        named = f" ({', '.join(map(str, named))})" if isinstance(named, list) and named else ""
        raise CheckpointError(
            f"{path}: model_type is {kind!r}{named}; of Hugging Face's models only 'segformer' can be "
            f"imported"
        )


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    """Interpret a Hugging Face checkpoint: SegFormer with its classes, or its encoder alone. Raises
    CheckpointError."""
    checkpoint = only(checkpoints, "huggingface")
    tensors, where = checkpoint.tensors, str(checkpoint.path)
    config_path = checkpoint.path.with_name(CONFIG)
    refuse_other_architectures(config_path)
    config = read_json(config_path)
    _require(config_path, config, REQUIRED)
    preprocessor = read_preprocessor(checkpoint.path.parent)

    segments = any(name.startswith("decode_head.") for name in tensors)
    layout = Layout(
        names_in(tensors),
        ignored=r"(?!)" if segments else r"classifier\.",  # ImageNet classifier
        absent=() if segments else ("fusion", "classifier"),
    )
    settings = {
        "architecture": "per_frame",
        "backbone": closest_backbone(tensors, layout, MIT_SPECS),
        "block_eps": EPS,
        "inner_eps": EPS,
        **preprocessor.normalisation(),
    }
    if not segments:
        return Foreign(where, tensors, layout, settings, size=preprocessor.size)
    settings["embed"] = shape(tensors, "decode_head.linear_fuse.weight", 4, where)[0]
    count = shape(tensors, "decode_head.classifier.weight", 4, where)[0]
    shifted = preprocessor.reduces_labels
    return Foreign(
        where,
        tensors,
        layout,
        settings,
        count,
        lambda: _classes(config_path, config),
        preprocessor.size,
        notes=(SHIFTED,) if shifted else (),
        record={"label_files": SHIFTED} if shifted else {},
    )


def exported(model: PerFrame) -> dict[str, Tensor]:
    """Return the weights of a per-frame network with MiT backbone under the names of
    SegformerForSemanticSegmentation."""
    tensors: dict[str, Tensor] = {}
    for ours, tensor in model.state_dict().items():
        theirs = saved(ours)
        # keys and values are a single layer in this package
        parts = tensor.chunk(len(theirs)) if len(theirs) > 1 else [tensor]
        tensors |= {name: part.contiguous() for name, part in zip(theirs, parts)}
    return tensors


def _require(path: Path, settings: dict, required: dict) -> None:
    for name, value in required.items():
        if name in settings and not _same(settings[name], value):
            raise CheckpointError(f"{path}: {name} is {settings[name]!r}; only {value!r} can be imported")


def _same(one: object, other: object) -> bool:
    if isinstance(other, float):
        return isinstance(one, (int, float)) and abs(one - other) <= 1e-6 * abs(other)
    if isinstance(other, list):
        return isinstance(one, list) and len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _classes(path: Path, config: dict) -> tuple[ClassSpec, ...] | None:
    names = config.get("id2label")
    if names is None:
        return None
    if not isinstance(names, dict) or set(names) != {str(number) for number in range(len(names))}:
        raise CheckpointError(
            f"{path}: id2label does not name the classes 0, 1, 2, ... each once; give --classes"
        )
    in_order = [names[str(number)] for number in range(len(names))]
    return classes_of(
        [str(name) if isinstance(name, (str, int)) else "" for name in in_order], f"{path}: id2label"
    )
