# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts the multiply-accumulates of PyTorch code while it runs; on the meta device nothing is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of convolutions and linear layers, and those of the two products in attention.

    `extras` are operations that the paper counts besides layers: 1 for each value that gets a bias or passes
    a ReLU, 2 for each that passes a batch norm. They are not multiply-accumulates: a sum may as well start
    from its bias.
    """

    layers: float = 0
    attention: float = 0
    extras: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.layers + other.layers, self.attention + other.attention, self.extras + other.extras)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.layers * times, self.attention * times, self.extras * times)


def counted(run: Callable[..., Result], *inputs: Any) -> tuple[Cost, Result]:
    """Return the cost of `run(*inputs)`, and its result. LayerNorm, GELU, softmax, pooling and resizing are
    not counted."""
    with _Counter() as counter:
        result = run(*inputs)
    return counter.cost, result


class _Counter(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in _COSTS:
            self.cost += _COSTS[function](result, *args, **(kwargs or {}))
        return result


def _layer(
    result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None, *_: Any, **__: Any
) -> Cost:
    return Cost(layers=result.numel() * weight[0].numel(), extras=0 if bias is None else result.numel())


def _attention(result: Tensor, query: Tensor, key: Tensor, *_: Any, **__: Any) -> Cost:
    """Cost of queries times keys, and of weights times values; (B, heads, tokens, channels) each."""
    return Cost(attention=(query.numel() + result.numel()) * key.shape[2])


_COSTS: dict[Callable, Callable[..., Cost]] = {
    F.conv2d: _layer,
    F.linear: _layer,
    F.scaled_dot_product_attention: _attention,
    F.batch_norm: lambda result, *_, **__: Cost(extras=2 * result.numel()),
    F.relu: lambda result, *_, **__: Cost(extras=result.numel()),
}
