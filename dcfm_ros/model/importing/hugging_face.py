# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer of Hugging Face `transformers`, as `save_pretrained` writes it: `config.json` beside the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from dcfm_ros.model.config import ClassSpec
from dcfm_ros.model.image import IMAGE_MEAN, IMAGE_STD
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.class_names import classes_of
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.layout import Layout, closest_backbone, shape
from dcfm_ros.model.mit import MIT_SPECS
from dcfm_ros.model.per_frame import PerFrame

SIGNS = ("segformer.encoder.patch_embeddings.", "encoder.patch_embeddings.")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"

# transformers builds every LayerNorm with PyTorch's default; `layer_norm_eps` of config.json is used by none.
EPS = 1e-5

# What shapes cannot tell. Another value would give other outputs without any sign of it.
REQUIRED = {"model_type": "segformer", "hidden_act": "gelu", "num_attention_heads": [1, 2, 5, 8], "sr_ratios": [8, 4, 2, 1],
            "patch_sizes": [7, 3, 3, 3], "strides": [4, 2, 2, 2], "num_channels": 3}
PREPROCESSING = {"do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255, "image_mean": list(IMAGE_MEAN),
                 "image_std": list(IMAGE_STD)}

INSIDE_BLOCK = {"norm1": "layer_norm_1", "norm2": "layer_norm_2", "attn.q": "attention.self.query",
                "attn.sr": "attention.self.sr", "attn.norm": "attention.self.layer_norm",
                "attn.proj": "attention.output.dense", "mlp.fc1": "mlp.dense1", "mlp.dwconv.dwconv": "mlp.dwconv.dwconv",
                "mlp.fc2": "mlp.dense2"}
DECODER = {"fusion.linear_fuse.conv": "linear_fuse", "fusion.linear_fuse.bn": "batch_norm", "classifier": "classifier"}


def weights_file(folder: Path) -> Path:
    """The weights in a folder; where both kinds lie there, they are the same, and safetensors is the safer."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(f"{folder} holds neither {' nor '.join(WEIGHTS)}; give a folder that save_pretrained wrote, or a "
                          "file (weights in several shards must be saved in one)")


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    checkpoint = only(checkpoints, "huggingface")
    tensors, where = checkpoint.tensors, str(checkpoint.path)
    config = _read_json(checkpoint.path.with_name(CONFIG))
    _require(checkpoint.path.with_name(CONFIG), config, REQUIRED)
    preprocessor = checkpoint.path.with_name(PREPROCESSOR)
    _require(preprocessor, _read_json(preprocessor), PREPROCESSING)

    prefix = "segformer." if any(name.startswith("segformer.") for name in tensors) else ""
    segments = any(name.startswith("decode_head.") for name in tensors)
    layout = Layout(lambda ours: _names(ours, prefix),
                    ignored=r"(?!)" if segments else r"classifier\.",  # of images
                    absent=() if segments else ("fusion", "classifier"))
    settings = {"architecture": "per_frame", "backbone": closest_backbone(tensors, layout, MIT_SPECS),
                "block_eps": EPS, "inner_eps": EPS}
    if not segments:
        return Foreign(where, tensors, layout, settings)
    settings["embed"] = shape(tensors, "decode_head.linear_fuse.weight", 4, where)[0]
    count = shape(tensors, "decode_head.classifier.weight", 4, where)[0]
    return Foreign(where, tensors, layout, settings, count, _classes(checkpoint.path.with_name(CONFIG), config))


def exported(model: PerFrame) -> dict[str, Tensor]:
    """The weights of a per-frame network with MiT backbone under the names of SegformerForSemanticSegmentation."""
    tensors = {}
    for ours, tensor in model.state_dict().items():
        theirs = _names(ours, "segformer.")
        parts = tensor.chunk(len(theirs)) if len(theirs) > 1 else [tensor]   # keys and values are one layer here
        tensors |= {name: part.contiguous() for name, part in zip(theirs, parts)}
    return tensors


def _names(ours: str, prefix: str) -> tuple[str, ...]:
    module, _, kind = ours.rpartition(".")  # kind: weight, bias, running_mean, ...
    if module in DECODER:
        return (f"decode_head.{DECODER[module]}.{kind}",)
    if found := re.fullmatch(r"fusion\.linear_c(\d)\.proj", module):
        return (f"decode_head.linear_c.{_from_0(found)}.proj.{kind}",)
    encoder = f"{prefix}encoder."
    if found := re.fullmatch(r"encoder\.norm(\d)", module):
        return (f"{encoder}layer_norm.{_from_0(found)}.{kind}",)
    if found := re.fullmatch(r"encoder\.patch_embed(\d)\.(proj|norm)", module):
        return (f"{encoder}patch_embeddings.{_from_0(found)}.{'proj' if found[2] == 'proj' else 'layer_norm'}.{kind}",)
    found = re.fullmatch(r"encoder\.block(\d)\.(\d+)\.(.+)", module)
    block = f"{encoder}block.{_from_0(found)}.{found[2]}"
    if found[3] == "attn.kv":
        return f"{block}.attention.self.key.{kind}", f"{block}.attention.self.value.{kind}"
    return (f"{block}.{INSIDE_BLOCK[found[3]]}.{kind}",)


def _from_0(found: re.Match) -> int:
    """Our stages count from 1."""
    return int(found[1]) - 1


def _read_json(path: Path) -> dict:
    """A file that may be missing where only the weights were given."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, expected settings by name")
    return content


def _require(path: Path, settings: dict, required: dict) -> None:
    for name, value in required.items():
        if name in settings and not _same(settings[name], value):
            raise CheckpointError(f"{path}: {name} is {settings[name]!r}; only {value!r} can be imported")


def _same(one, other) -> bool:
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
        raise CheckpointError(f"{path}: id2label does not name the classes 0, 1, 2, ... each once; give --classes")
    return classes_of([str(names[str(number)]) for number in range(len(names))])
