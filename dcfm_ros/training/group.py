# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data-parallel training: the processes that torchrun starts, and their communication."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor, nn

from dcfm_ros.model.config import ConfigError


class Group(NamedTuple):
    """This process's rank among the processes that train a model, and its device."""

    rank: int
    world: int
    device: torch.device


def processes_here() -> int:
    """Return the number of torchrun's processes on this machine; 1 without torchrun."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def cores() -> int:
    """Return the number of cores in this process's share of the machine."""
    return max(1, len(os.sched_getaffinity(0)) // processes_here())


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Join the group of torchrun's processes, or create one of this process alone. device: auto, cpu, cuda or
    cuda:N; in a group, cuda means each process's own GPU."""
    own = find_device(device)
    if "RANK" not in os.environ:
        yield Group(0, 1, own)
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo")
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size(), own)
    finally:
        distributed.destroy_process_group()


def find_device(name: str) -> torch.device:
    """Return this process's device; for cuda in a torchrun group, the GPU of its local rank."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: use auto, cpu, cuda or cuda:N") from error
    if device.type != "cuda":
        return device
    number = int(os.environ.get("LOCAL_RANK", 0)) if device.index is None else device.index
    if number >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name}: GPU {number} is requested, but PyTorch finds {torch.cuda.device_count()}; use "
            "cpu, fewer processes, or a PyTorch built with CUDA"
        )
    torch.cuda.set_device(number)
    torch.backends.cudnn.benchmark = True  # crop sizes rarely change
    return torch.device("cuda", number)


def average_gradients(model: nn.Module, terms: Tensor) -> Tensor:
    """Average the gradients over all processes in place; return the average of `terms` (n,) as well."""
    if not _is_group():
        return terms
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), terms.to(gradients[0].dtype)])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    *parts, mean = flat.split([*(g.numel() for g in gradients), terms.numel()])
    for gradient, part in zip(gradients, parts):
        gradient.copy_(part.view_as(gradient))
    return mean


def average_statistics(model: nn.Module) -> None:
    """Average the batch-norm statistics, which are collected per process, over all processes in place."""
    if not _is_group():
        return
    for buffer in model.buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer /= distributed.get_world_size()


def summed(counts: np.ndarray) -> np.ndarray:
    """Return the sum of counts over all processes."""
    total = torch.from_numpy(counts.copy())
    if _is_group():
        distributed.all_reduce(total)
    return total.numpy()


def largest(values: Sequence[int]) -> list[int]:
    """Return the maximum of each value over all processes."""
    highest = torch.tensor(values)
    if _is_group():
        distributed.all_reduce(highest, distributed.ReduceOp.MAX)
    return highest.tolist()


def _is_group() -> bool:
    return distributed.is_initialized() and distributed.get_world_size() > 1
