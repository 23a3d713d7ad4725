# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One training step: the losses of a batch, their gradients averaged over all processes, and the update."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from dcfm_ros.model.build import Model
from dcfm_ros.model.image import normalised
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.training.checkpoint import TrainingError
from dcfm_ros.training.data import Batch
from dcfm_ros.training.group import average_gradients
from dcfm_ros.training.losses import Losses, per_frame_losses, symmetric_losses
from dcfm_ros.training.optimiser import Precision, set_rate
from dcfm_ros.training.settings import TrainConfig
from dcfm_ros.training.targets import SoftTargets, Targets


def on_device(model: Model, config: TrainConfig, device: torch.device) -> Model:
    """Return the model on the device, prepared for training."""
    if config.frozen_norms:
        freeze_norms(model)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # it is documented
    return model.to(device).train()


def freeze_norms(model: nn.Module) -> None:
    """Make batch norms keep their statistics, and normalise by them, in training as well; their weights go on
    learning."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.train = partial(_keep_mode, module)  # type: ignore[assignment]


def _keep_mode(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def step(
    model: Model,
    optimiser: torch.optim.Optimizer,
    precision: Precision,
    batch: Batch,
    config: TrainConfig,
    iteration: int,
    class_weights: Tensor | None,
) -> Tensor:
    """Run one optimiser step on this process's batch, with gradients averaged over all processes; return the
    loss terms (3,), averaged likewise.

    Raises TrainingError, with the model unchanged, if a loss or gradient is not finite.
    """
    set_rate(optimiser, config.learning_rate(iteration))
    with precision.autocast():
        losses = batch_losses(model, batch, config, class_weights, precision.device)
    optimiser.zero_grad(set_to_none=True)
    precision.scaler.scale(losses.total).backward()
    terms = average_gradients(model, torch.stack([term.detach() for term in losses]))
    precision.scaler.unscale_(optimiser)
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or math.inf)
    loss, norm = torch.stack([Losses(*terms).total, norm]).tolist()
    if not math.isfinite(loss) or (not math.isfinite(norm) and not precision.scaler.is_enabled()):
        what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}"
        where = (
            "its batch"
            if not torch.isfinite(losses.total)
            else "the batch, here or in another process of the group"
        )
        raise TrainingError(
            f"the {what} in iteration {iteration}: the last checkpoint is intact; lower the rate, or look at "
            f"{where}: {'; '.join(batch.origins)}"
        )
    precision.scaler.step(optimiser)  # float16: skips a step whose gradients overflow, and reduces the scale
    precision.scaler.update()
    return terms


def batch_losses(
    model: Model, batch: Batch, config: TrainConfig, class_weights: Tensor | None, device: torch.device
) -> Losses:
    """Return the losses of a batch, which is copied to the device."""

    layout = torch.channels_last if config.channels_last else torch.contiguous_format

    def there(tensor: Tensor) -> Tensor:
        return tensor.to(device, non_blocking=True)

    def images(tensor: Tensor) -> Tensor:
        return normalised(there(tensor), model.config.normalisation).contiguous(memory_format=layout)

    labels: Targets
    neighbour_labels: Targets | None
    if batch.soft is None:
        labels = there(batch.labels).long()
        neighbour_labels = None if batch.neighbour_labels is None else there(batch.neighbour_labels).long()
    else:
        labels, neighbour_labels = (SoftTargets.of(soft) for soft in there(batch.soft).unbind(1))
    arguments = (images(batch.labelled), images(batch.neighbour), labels, neighbour_labels, class_weights)
    if isinstance(model, PerFrame):
        return per_frame_losses(model, *arguments)
    motion = None if batch.motion is None else there(batch.motion)
    return symmetric_losses(model, *arguments, config.consistency, motion)


def seed_dropout(seed: int, iteration: int, rank: int) -> None:
    """Seed dropout from the number of the iteration, so that a resumed training repeats it."""
    torch.manual_seed((seed * 1_000_003 + iteration) * 64 + rank)
