# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training record in a model folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from dcfm_ros.model.versions import processor_name, versions
from dcfm_ros.sources.clips import ClipSet
from dcfm_ros.training.checkpoint import plain_config
from dcfm_ros.training.group import Group
from dcfm_ros.training.pairs import PairSource
from dcfm_ros.training.settings import TrainConfig


def training_record(
    config: TrainConfig,
    data: Sequence[PairSource | None],
    validation: ClipSet | None,
    group: Group,
    precision: str,
    progress: dict,
) -> dict:
    """Return configuration, data with their terms of use, hardware, versions and `progress`: iterations,
    time, losses, scores. It contains no paths of this machine."""
    plain = plain_config(config)
    plain.pop("model")
    plain |= {"init": Path(config.init).name, "init_encoder": Path(config.init_encoder).name}
    for source in (*plain["data"]["sources"], *([plain["validation"]] if config.validation else [])):
        source["root"] = ""
    used = [source for source in data if source is not None]
    return {
        "data": [{"name": source.name, "terms": source.terms} for source in used],
        **({"validation_data": {"name": validation.name, "terms": validation.terms}} if validation else {}),
        **progress,
        "hardware": f"{_device_name(group.device)}, {precision}, {group.world} "
        f"process{'es' if group.world > 1 else ''}",
        "versions": versions(),
        "seed": config.seed,
        "configuration": plain,
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{len(os.sched_getaffinity(0))} cores of {processor_name()}"
