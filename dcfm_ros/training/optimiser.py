# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The optimiser and the precision of its arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor

from dcfm_ros.model.build import Model
from dcfm_ros.training.settings import TrainConfig
from dcfm_ros.training.start import OF_BACKBONE


def make_optimiser(model: Model, config: TrainConfig) -> torch.optim.Optimizer:
    """Create AdamW or SGD. The learning rate is the configuration's for the fusion, times `encoder_lr` for
    the encoder, and times `decoder_lr` for the rest (a group's `factor`). Norms and biases have weight decay
    only with `decay_norms`."""
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((_factor(name, config), config.decay_norms or parameter.ndim > 1), []).append(
            parameter
        )
    parts = [
        {"params": parameters, "factor": factor, "weight_decay": config.weight_decay if decayed else 0.0}
        for (factor, decayed), parameters in groups.items()
    ]
    rate = config.learning_rate(0)  # set again in every iteration
    if config.optimiser == "sgd":
        return torch.optim.SGD(parts, lr=rate, momentum=config.momentum)
    return torch.optim.AdamW(parts, lr=rate)


def _factor(name: str, config: TrainConfig) -> float:
    """Return the factor of the learning rate for a parameter."""
    if not name.startswith(OF_BACKBONE):
        return config.decoder_lr
    return config.encoder_lr if name.startswith("encoder.") else 1.0


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


class Precision:
    """Mixed precision: the type of the forward pass, and the loss scaling required by float16."""

    def __init__(self, amp: bool, device: torch.device):
        self.device, self.dtype = device, lowest_type(device) if amp else torch.float32
        # no-op if not enabled
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

    def autocast(self) -> torch.autocast:
        mixed = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if mixed else None, enabled=mixed)

    def __str__(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def lowest_type(device: torch.device) -> torch.dtype:
    """Return bfloat16 on CPUs and on GPUs that support it, float16 on older ones."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16
