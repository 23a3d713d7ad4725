# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interpretation of foreign files by the module of their format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from dcfm_ros.model.config import ClassSpec
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.layout import Layout


@dataclass(frozen=True, eq=False)
class Foreign:
    """Everything needed to build a model of this package and to fill it."""

    where: str  # the files, for messages
    tensors: dict[str, Tensor]
    layout: Layout
    settings: dict  # of ModelConfig, without classes and input size
    class_count: int = 0  # classes of the trained classifier; 0: no classifier
    # Called if no other names are given. Returns None if the files name no classes; raises CheckpointError if
    # the names are invalid.
    classes: Callable[[], tuple[ClassSpec, ...] | None] = lambda: None
    # Called if no other size is given: height and width, and where they are from, if the files tell.
    size: Callable[[], tuple[tuple[int, int], str] | None] = lambda: None
    notes: tuple[str, ...] = ()  # what the user should know, a line each
    record: dict = field(default_factory=dict)  # of these, for model.yaml


def only(checkpoints: Sequence[Checkpoint], format_name: str) -> Checkpoint:
    """Return the single checkpoint of a format that has one file."""
    if len(checkpoints) != 1:
        raise CheckpointError(
            f"a checkpoint of format {format_name} is one file, but {len(checkpoints)} are given: "
            f"{', '.join(str(c.path) for c in checkpoints)}; give one"
        )
    return checkpoints[0]
