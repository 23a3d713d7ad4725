# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converts a model's inference form to float16 weights and arithmetic, except where float16 is insufficient.

The normalisation of pixels, every layer norm and every norm over channels are computed in float32. Attention
scores need no special care: queries and keys are scaled before their product, and softmax subtracts the
largest score. Batch norms are folded into the preceding convolutions in float32: small variances do not
survive float16.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcfm_ros.model.backbone import Encoder
from dcfm_ros.model.inference import InferenceModel

_Part = TypeVar("_Part", bound=nn.Module)


def half_precision(parts: InferenceModel) -> InferenceModel:
    """Return copies of the parts in float16. Images stay uint8 and logits float32; S and the common
    contribution are float16."""
    shallow, deep, decoder = deepcopy(parts.shallow), deepcopy(parts.deep), deepcopy(parts.decoder)
    shallow.encoder = HalfEncoder(half_form(shallow.encoder))  # type: ignore[assignment]  # as far as it is used
    return InferenceModel(shallow, half_form(deep), half_form(decoder))


def half_form(part: _Part) -> _Part:
    """Convert a module to float16 in place; its norms over channels still compute in float32."""
    fold_batch_norms(part)
    part.half()
    for module in list(part.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.LayerNorm):
                setattr(module, name, Float32Norm(child.float()))
    return part


def fold_batch_norms(part: nn.Module) -> None:
    """Fold each batch norm into the convolution registered right before it, as in all backbones here."""
    for module in list(part.modules()):
        children = list(module.named_children())
        for (name, before), (norm_name, norm) in zip(children, children[1:]):
            if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(before, norm))
                setattr(module, norm_name, nn.Identity())
    left = [name for name, module in part.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ValueError(
            f"no convolution precedes the batch norms {', '.join(left)}: float16 needs them folded"
        )


class HalfEncoder(nn.Module):
    """A float16 encoder for normalised images in float32."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def shallow(self, image: Tensor) -> Tensor:
        return self.encoder.shallow(image.half())


class Float32Norm(nn.Module):
    """A layer norm computed in float32 between tensors of another type."""

    def __init__(self, norm: nn.LayerNorm):
        super().__init__()
        self.norm = norm

    def forward(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens.float()).to(tokens.dtype)
