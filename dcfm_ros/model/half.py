# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The running parts of a model in float16: weights and arithmetic, but for what float16 cannot hold.

The pixels' normalisation, every layer norm and every length over channels are computed in float32. Scores of
an attention need no more care: queries and keys are scaled before their product, and softmax subtracts the
largest score. Batch norms are folded into the convolutions before them, in float32: small variances do not
survive float16.
"""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcfm_ros.model.inference import InferenceModel


def half_precision(parts: InferenceModel) -> InferenceModel:
    """Copies of the parts in float16. Images stay uint8 and logits float32; S and the common contribution are
    float16."""
    shallow, deep, decoder = (deepcopy(part) for part in parts)
    shallow.encoder = HalfEncoder(half_form(shallow.encoder))
    return InferenceModel(shallow, half_form(deep), half_form(decoder))


def half_form(part: nn.Module) -> nn.Module:
    """The same module in float16, changed in place; its norms over channels still compute in float32."""
    fold_batch_norms(part)
    part.half()
    for module in list(part.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.LayerNorm):
                setattr(module, name, Float32Norm(child.float()))
    return part


def fold_batch_norms(part: nn.Module) -> None:
    """Fold each batch norm into the convolution which is registered right before it, as in all backbones
    here."""
    for module in list(part.modules()):
        children = list(module.named_children())
        for (name, before), (norm_name, norm) in zip(children, children[1:]):
            if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(before, norm))
                setattr(module, norm_name, nn.Identity())
    left = [name for name, module in part.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ValueError(
            f"no convolution stands before the batch norms {', '.join(left)}: float16 needs them folded"
        )


class HalfEncoder(nn.Module):
    """An encoder in float16 for normalised images in float32."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def shallow(self, image: Tensor) -> Tensor:
        return self.encoder.shallow(image.half())


class Float32Norm(nn.Module):
    """A layer norm in float32 between tensors of another type."""

    def __init__(self, norm: nn.LayerNorm):
        super().__init__()
        self.norm = norm

    def forward(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens.float()).to(tokens.dtype)
