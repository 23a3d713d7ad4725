# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One step of training: a batch's losses, their gradients averaged over all processes, and what the optimiser
makes of them."""

from __future__ import annotations

import math

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


def on_device(model: Model, config: TrainConfig, device: torch.device) -> Model:
    """The model, ready to be trained there."""
    layout = torch.channels_last if config.channels_last else torch.preserve_format
    return model.to(device=device, memory_format=layout).train()


def step(
    model: Model,
    optimiser: torch.optim.Optimizer,
    precision: Precision,
    batch: Batch,
    config: TrainConfig,
    iteration: int,
    class_weights: Tensor | None,
) -> Tensor:
    """One optimiser step on the batch of this process, gradients averaged over all processes; returns the
    loss terms (3,), averaged likewise. A loss or gradient that is not finite is a TrainingError, and the
    model stays as it was."""
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
            f"the {what} in iteration {iteration}: the last checkpoint stands; lower the rate, or look at "
            f"{where}: {'; '.join(batch.origins)}"
        )
    precision.scaler.step(
        optimiser
    )  # float16: leaves out a step whose gradients overflow, and scales less from then on
    precision.scaler.update()
    return terms


def batch_losses(
    model: Model, batch: Batch, config: TrainConfig, class_weights: Tensor | None, device: torch.device
) -> Losses:
    """Losses of a batch, which is brought to the device."""
    labelled, neighbour, labels, neighbour_labels = (
        None if tensor is None else tensor.to(device, non_blocking=True) for tensor in batch[:4]
    )
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    labelled, neighbour = (
        normalised(images, model.config.normalisation).contiguous(memory_format=layout)
        for images in (labelled, neighbour)
    )
    arguments = (
        model,
        labelled,
        neighbour,
        labels.long(),
        None if neighbour_labels is None else neighbour_labels.long(),
        class_weights,
    )
    if isinstance(model, PerFrame):
        return per_frame_losses(*arguments)
    motion = None if batch.motion is None else batch.motion.to(device, non_blocking=True)
    return symmetric_losses(*arguments, config.consistency, motion)


def seed_dropout(seed: int, iteration: int, rank: int) -> None:
    """Dropout is drawn anew from each iteration's number, so a resumed run repeats it."""
    torch.manual_seed((seed * 1_000_003 + iteration) * 64 + rank)
