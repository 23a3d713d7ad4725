# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recognises the format of checkpoints by the names of their tensors, with or without a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from dcfm_ros.model.folder import some
from dcfm_ros.model.importing import (
    efficientnet_lite,
    hugging_face,
    mmsegmentation,
    nvlabs,
    published,
    resnet,
    timm_efficientnet_lite,
)
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.formats import (
    EFFICIENTNET_LITE,
    HUGGING_FACE,
    MMSEGMENTATION,
    NVLABS,
    PUBLISHED,
    RESNET,
    TIMM_EFFICIENTNET_LITE,
)
from dcfm_ros.model.importing.prefixes import (
    at_given_prefix,
    prefixes_of,
    several_models,
    without_others,
    without_prefix,
)

FORMATS: dict[str, ModuleType] = {
    PUBLISHED: published,
    NVLABS: nvlabs,
    MMSEGMENTATION: mmsegmentation,
    HUGGING_FACE: hugging_face,
    EFFICIENTNET_LITE: efficientnet_lite,
    TIMM_EFFICIENTNET_LITE: timm_efficientnet_lite,
    RESNET: resnet,
}


def recognised(
    checkpoints: Sequence[Checkpoint], format: str, prefix: str = ""
) -> tuple[str, list[Checkpoint]]:
    """Return the format, auto or given, and the checkpoints without a prefix before their names.

    prefix: given, where a file holds several models; "": the one there is
    Raises CheckpointError if the format is unknown or there are several models.
    """
    if prefix:
        checkpoints = [at_given_prefix(one, prefix) for one in checkpoints]
    if format == "auto":
        format = _format_of(checkpoints[0])
    signs = FORMATS[format].SIGNS
    alone = without_others if prefix else without_prefix
    return format, [alone(one, signs) for one in checkpoints]


def _format_of(checkpoint: Checkpoint) -> str:
    """Return the format whose names the file uses: without a prefix, else with the shortest one."""
    path, names = checkpoint.path, sorted(checkpoint.tensors)
    found = {format: prefixes_of(names, module.SIGNS) for format, module in FORMATS.items()}
    for format, prefixes in found.items():
        if "" in prefixes:
            return format
    hugging_face.refuse_other_architectures(path.with_name(hugging_face.CONFIG))
    if any(found.values()):
        # the shortest prefix, as names within a model may be those of another format: a ResNet's, for example
        shortest, format = min(
            ((prefix, format) for format, prefixes in found.items() for prefix in sorted(prefixes)),
            key=lambda entry: len(entry[0]),
        )
        others = {one for prefixes in found.values() for one in prefixes if not one.startswith(shortest)}
        if others:
            raise several_models(checkpoint, sorted({shortest, *others}))
        return format
    raise CheckpointError(
        f"{path} has none of the formats {', '.join(FORMATS)}: its tensors are called "
        f"{some(names)}; docs/importing.md lists what can be imported"
    )
