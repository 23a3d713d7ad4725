# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the module of a format makes of its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from dcfm_ros.model.config import ClassSpec
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.layout import Layout


@dataclass(frozen=True, eq=False)
class Foreign:
    """Enough to build a model of ours and to fill it."""

    where: str  # the files, for messages
    tensors: dict[str, Tensor]
    layout: Layout
    settings: dict  # of ModelConfig, without classes and input size
    class_count: int = 0  # of the trained classifier; 0: there is none
    # Called where no other names are given: None where the files name no classes, a CheckpointError where
    # they name them badly.
    classes: Callable[[], tuple[ClassSpec, ...] | None] = lambda: None


def only(checkpoints: Sequence[Checkpoint], format_name: str) -> Checkpoint:
    """The one checkpoint, where a format has no more."""
    if len(checkpoints) != 1:
        raise CheckpointError(
            f"a checkpoint of format {format_name} is one file, but {len(checkpoints)} are given: "
            f"{', '.join(str(c.path) for c in checkpoints)}; give one"
        )
    return checkpoints[0]
