# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps a foreign format's tensor names to our models, and fills a model strictly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from dcfm_ros.model.backbone import make_backbone
from dcfm_ros.model.build import Model
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.folder import some
from dcfm_ros.model.importing.checkpoint import CheckpointError

# Update counters of batch norm; unused here.
COUNTERS = re.compile(r"(^|\.)num_batches_tracked$")


@dataclass(frozen=True)
class Layout:
    """`names` maps our tensor name to those in the file: one, or several whose rows are stacked in this
    order."""

    names: Callable[[str], tuple[str, ...]]
    ignored: str = r"(?!)"  # regular expression: names in the file that are ignored on purpose
    absent: tuple[str, ...] = ()  # parts of our model (encoder, fusion, ...) which the file does not have

    def ignores(self, name: str) -> bool:
        return bool(COUNTERS.search(name) or re.match(self.ignored, name))

    def sources(self, shapes: dict[str, torch.Size]) -> dict[str, tuple[str, ...]]:
        """Return the file's names for each of our names, without optional ones."""
        return {
            ours: self.names(ours)
            for ours in shapes
            if not COUNTERS.search(ours) and ours.split(".")[0] not in self.absent
        }

    def expected(self, shapes: dict[str, torch.Size]) -> dict[str, tuple[int, ...]]:
        """Return the expected shape for each name in the file."""
        return {
            name: (shapes[ours][0] // len(names), *shapes[ours][1:])
            for ours, names in self.sources(shapes).items()
            for name in names
        }


def by_prefix(prefixes: dict[str, str]) -> Callable[[str], tuple[str, ...]]:
    """Return a mapping of names that differ only in their prefix."""

    def names(ours: str) -> tuple[str, ...]:
        prefix = next(prefix for prefix in prefixes if ours.startswith(prefix))
        return (prefixes[prefix] + ours.removeprefix(prefix),)

    return names


def closest_backbone(tensors: dict[str, Tensor], layout: Layout, candidates: Iterable[str]) -> str:
    """Return the backbone whose tensor names and shapes differ least from those in the file.

    If it is not the right one, `fill` lists the differences; the closest backbone makes the shortest list.
    """
    given = {(name, tuple(tensor.shape)) for name, tensor in tensors.items()}
    return min(
        candidates, key=lambda backbone: len(given ^ set(layout.expected(_backbone_shapes(backbone)).items()))
    )


@cache
def _backbone_shapes(backbone: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        encoder, fusion = make_backbone(ModelConfig(backbone, classes=(ClassSpec("any", (0, 0, 0)),)))
    return shapes_of(nn.ModuleDict({"encoder": encoder, "fusion": fusion}))


def shapes_of(model: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def shape(tensors: dict[str, Tensor], name: str, dimensions: int, where: str) -> tuple[int, ...]:
    """Return the shape of a tensor from which the architecture is derived."""
    if name not in tensors:
        raise CheckpointError(
            f"{where} lacks {name}, which tells how the model is built; is it of another format?"
        )
    if tensors[name].ndim != dimensions:
        raise CheckpointError(
            f"{where}: {name} has shape {tuple(tensors[name].shape)}, expected {dimensions} dimensions"
        )
    return tuple(tensors[name].shape)


def fill(model: Model, tensors: dict[str, Tensor], layout: Layout, where: str) -> None:
    """Copy the file's tensors into the model. Each must be expected or ignored, and have the right shape."""
    shapes = shapes_of(model)
    expected = layout.expected(shapes)
    given = {name: tensor for name, tensor in tensors.items() if not layout.ignores(name)}
    _require_fit(model.config.backbone, expected, given, where)
    model.load_state_dict(
        {
            ours: torch.cat([given[name].float() for name in names])
            for ours, names in layout.sources(shapes).items()
        },
        strict=False,
    )


def _require_fit(
    backbone: str, expected: dict[str, tuple[int, ...]], given: dict[str, Tensor], where: str
) -> None:
    for name, tensor in given.items():  # checked first, as quantised files have additional names as well
        if not tensor.is_floating_point():
            raise CheckpointError(
                f"{where}: {name} holds {tensor.dtype}, expected floating point; give weights that are not "
                f"quantised"
            )
        if tensor.is_meta or tensor.layout is not torch.strided:
            what = "without values" if tensor.is_meta else "sparse"
            raise CheckpointError(
                f"{where}: {name} is {what}; save the model with all of its weights loaded, as dense tensors"
            )
    missing, unexpected = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or unexpected:
        raise CheckpointError(
            f"{where} does not fit {backbone}: {len(missing)} missing: {some(missing)}; "
            f"{len(unexpected)} unexpected: {some(unexpected)}"
        )
    unfit = [
        f"{name} has {tuple(given[name].shape)}, expected {size}"
        for name, size in expected.items()
        if tuple(given[name].shape) != size
    ]
    if unfit:
        raise CheckpointError(f"{where} does not fit {backbone}: {some(unfit)}")
    for name, tensor in given.items():
        if not torch.isfinite(tensor.float()).all():
            raise CheckpointError(
                f"{where}: {name} holds values that are not finite; the training had failed"
            )
