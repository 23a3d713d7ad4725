# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class table that MMSegmentation notes in a checkpoint, beside the weights."""

from __future__ import annotations

from typing import Any

from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.class_names import classes_of


def noted_classes(checkpoint: Checkpoint) -> tuple[ClassSpec, ...] | None:
    """Return names and colours, if they are noted: `CLASSES` and `PALETTE` of version 0, or those of
    `dataset_meta` of version 1. Raises CheckpointError if they are no class table."""
    names, palette = _noted(checkpoint.meta, "classes"), _noted(checkpoint.meta, "palette")
    if names is None:
        return None
    where = f"{checkpoint.path}: CLASSES"
    if not isinstance(names, (list, tuple)):
        raise CheckpointError(f"{where} is no list of names; give --classes")
    classes = classes_of([str(name) for name in names], where)
    try:
        return (
            tuple(ClassSpec(row.name, tuple(rgb)) for row, rgb in zip(classes, palette, strict=True))
            if palette
            else classes
        )
    except (ConfigError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: its CLASSES and PALETTE are no class table ({error}); give --classes"
        ) from error


def _noted(meta: dict, name: str) -> Any:
    data_set = meta.get("dataset_meta")
    for place in (meta, data_set if isinstance(data_set, dict) else {}):
        for key in (name.upper(), name):
            if place.get(key) is not None:
                return place[key]
    return None
