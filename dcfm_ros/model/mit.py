# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mix Transformer encoders (MiT-B0 ... B5, Xie et al. 2021), split into a shallow and a deep part.

Tokens are stored as (B, N, C). Viewed as a feature map (B, C, H, W), that is exactly PyTorch's channels-last
layout, so depth-wise and strided convolutions run without a copy.
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbone_specs import MiTSpec
from dcfm_ros.model.drop_path import drop_path


def to_tokens(image: Tensor) -> Tensor:
    """Reshape (B, C, H, W) to (B, H*W, C)."""
    return image.permute(0, 2, 3, 1).flatten(1, 2)


def to_feature_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Reshape (B, H*W, C) to (B, C, H, W) in channels-last layout, without a copy."""
    return tokens.unflatten(1, size).permute(0, 3, 1, 2)


class PatchEmbedding(nn.Module):
    """Overlapping patches: a strided convolution, then a LayerNorm over channels."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, norm_eps: float):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2)
        self.norm = nn.LayerNorm(out_channels, eps=norm_eps)

    def forward(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Map (B, C, H, W) to tokens (B, N, C') and the (height, width) of their grid."""
        embedded = self.proj(image)
        return self.norm(to_tokens(embedded)), (embedded.shape[2], embedded.shape[3])


class Attention(nn.Module):
    """Multi-head attention whose keys and values come from a spatially reduced feature map."""

    def __init__(self, channels: int, heads: int, reduction: int, norm_eps: float):
        super().__init__()
        self.heads = heads
        self.reduction = reduction
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        if reduction > 1:
            self.sr = nn.Conv2d(channels, channels, reduction, stride=reduction)
            self.norm = nn.LayerNorm(channels, eps=norm_eps)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        channels = tokens.shape[2]
        source = tokens
        if self.reduction > 1:
            source = self.norm(to_tokens(self.sr(to_feature_map(tokens, size))))
        query = self._split(self.q(tokens))
        key, value = self.kv(source).split(channels, dim=2)
        mixed = F.scaled_dot_product_attention(query, self._split(key), self._split(value))
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        """Reshape (B, N, C) to (B, heads, N, C/heads)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class DepthwiseConv(nn.Module):
    """3x3 depth-wise convolution on tokens; it also encodes their position."""

    def __init__(self, channels: int):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        return to_tokens(self.dwconv(to_feature_map(tokens, size)))


class MixFeedForward(nn.Module):
    """Linear, depth-wise 3x3, exact (erf) GELU, linear."""

    def __init__(self, channels: int, ratio: int = 4):
        super().__init__()
        self.fc1 = nn.Linear(channels, ratio * channels)
        self.dwconv = DepthwiseConv(ratio * channels)
        self.fc2 = nn.Linear(ratio * channels, channels)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        return self.fc2(F.gelu(self.dwconv(self.fc1(tokens), size)))


class Block(nn.Module):
    """Pre-norm transformer block with stochastic depth: whole residual branches are dropped at random in
    training."""

    def __init__(
        self, channels: int, heads: int, reduction: int, eps: float, inner_eps: float, drop_path: float
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attn = Attention(channels, heads, reduction, inner_eps)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = MixFeedForward(channels)
        self.drop_path = drop_path

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        tokens = tokens + drop_path(self.attn(self.norm1(tokens), size), self.drop_path, self.training)
        return tokens + drop_path(self.mlp(self.norm2(tokens), size), self.drop_path, self.training)


class MixTransformer(nn.Module):
    """MiT encoder with the shallow tap of DCFM ("vit1"): patch embedding 1 and the first block of stage 1.

    `deep` continues from the output of `shallow`, so a keyframe never computes its shallow part twice.
    """

    patch_embed1: PatchEmbedding
    block1: nn.ModuleList
    norm1: nn.LayerNorm

    def __init__(
        self, spec: MiTSpec, block_eps: float = 1e-6, inner_eps: float = 1e-5, drop_path: float = 0.0
    ):
        super().__init__()
        self.spec = spec
        rates = torch.linspace(0.0, drop_path, sum(spec.depths), device="cpu").tolist()
        in_channels, first = 3, 0
        for stage, (depth, width) in enumerate(zip(spec.depths, spec.widths), start=1):
            kernel, stride = (7, 4) if stage == 1 else (3, 2)
            blocks = nn.ModuleList(
                Block(width, spec.heads[stage - 1], spec.reductions[stage - 1], block_eps, inner_eps, rate)
                for rate in rates[first : first + depth]
            )
            self.add_module(
                f"patch_embed{stage}", PatchEmbedding(in_channels, width, kernel, stride, inner_eps)
            )
            self.add_module(f"block{stage}", blocks)
            self.add_module(f"norm{stage}", nn.LayerNorm(width, eps=block_eps))
            in_channels, first = width, first + depth

    def shallow(self, image: Tensor) -> Tensor:
        """Map the normalised image (B, 3, H, W) to the independent feature S (B, C_s, H/4, W/4)."""
        tokens, size = self.patch_embed1(image)
        return to_feature_map(self.block1[0](tokens, size), size)

    def deep(self, shallow: Tensor) -> list[Tensor]:
        """Map the shallow feature (B, C_s, H/4, W/4) to the four stage outputs, strides 4, 8, 16 and 32."""
        size = (shallow.shape[2], shallow.shape[3])
        tokens = to_tokens(shallow)
        for block in self.block1[1:]:
            tokens = block(tokens, size)
        features = [to_feature_map(self.norm1(tokens), size)]
        for stage in (2, 3, 4):
            tokens, size = getattr(self, f"patch_embed{stage}")(features[-1])
            for block in getattr(self, f"block{stage}"):
                tokens = block(tokens, size)
            features.append(to_feature_map(getattr(self, f"norm{stage}")(tokens), size))
        return features

    def without_deep(self) -> MixTransformer:
        """Return a copy that only supports `shallow`."""
        shallow = deepcopy(self)
        for stage in (2, 3, 4):
            for name in (f"patch_embed{stage}", f"block{stage}", f"norm{stage}"):
                delattr(shallow, name)
        shallow.block1 = shallow.block1[:1]
        del shallow.norm1
        return shallow

    def deep_stages(self) -> nn.ModuleList:
        """Return copies of the modules of `deep`: from S to the output of stage 1, from there to that of
        stage 2, and so on. Each is a sequence of steps, two per block."""
        return nn.ModuleList(_steps(self, number) for number in (1, 2, 3, 4))


def _steps(encoder: MixTransformer, number: int) -> nn.Sequential:
    """Split a stage of the encoder into half blocks; stage 1 without the part that the shallow path has
    computed."""
    embed = None if number == 1 else getattr(encoder, f"patch_embed{number}")
    blocks = list(getattr(encoder, f"block{number}"))[1 if number == 1 else 0 :]
    steps: list[nn.Module] = []
    for block in blocks:
        last = block is blocks[-1]
        steps.append(AttentionStep(None if steps else embed, block))
        steps.append(FeedForwardStep(block, getattr(encoder, f"norm{number}") if last else None))
    return nn.Sequential(*steps)


class AttentionStep(nn.Module):
    """First half of a block, on feature maps (B, C, H, W); includes the patch embedding at the start of a
    stage."""

    def __init__(self, patch_embed: PatchEmbedding | None, block: Block):
        super().__init__()
        self.patch_embed, self.norm, self.attn = (
            deepcopy(patch_embed),
            deepcopy(block.norm1),
            deepcopy(block.attn),
        )

    def forward(self, feature: Tensor) -> Tensor:
        if self.patch_embed is None:
            tokens, size = to_tokens(feature), (feature.shape[2], feature.shape[3])
        else:
            tokens, size = self.patch_embed(feature)
        return to_feature_map(tokens + self.attn(self.norm(tokens), size), size)


class FeedForwardStep(nn.Module):
    """Second half of a block; includes the norm at the end of a stage."""

    def __init__(self, block: Block, last_norm: nn.LayerNorm | None):
        super().__init__()
        self.norm, self.mlp, self.last_norm = deepcopy(block.norm2), deepcopy(block.mlp), deepcopy(last_norm)

    def forward(self, feature: Tensor) -> Tensor:
        tokens, size = to_tokens(feature), (feature.shape[2], feature.shape[3])
        tokens = tokens + self.mlp(self.norm(tokens), size)
        return to_feature_map(tokens if self.last_norm is None else self.last_norm(tokens), size)
