# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet encoders of ResNet: names of torchvision, of timm, and of semseg, whose encoders the published
DCFM PSPNets started from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.json_file import read_json
from dcfm_ros.model.importing.layout import Layout, by_prefix, shape

SIGNS = ("layer1.0.conv1.",)
CONFIG = "config.json"

# Blocks per stage, and whether they are bottlenecks, by name.
KINDS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
# The file's name for each part of our first layer.
PLAIN = {"0.": "conv1.", "1.": "bn1."}
TIMM = {
    "0.": "conv1.0.",
    "1.": "conv1.1.",
    "3.": "conv1.3.",
    "4.": "conv1.4.",
    "6.": "conv1.6.",
    "7.": "bn1.",
}
SEMSEG = {"0.": "conv1.", "1.": "bn1.", "3.": "conv2.", "4.": "bn2.", "6.": "conv3.", "7.": "bn3."}
# Letters that timm has for first layers of three convolutions: by widths, and whether shortcuts are averaged.
LETTERS: dict[tuple[tuple[int, ...], bool], str] = {
    ((32, 32, 64), False): "c",
    ((32, 32, 64), True): "d",
    ((64, 64, 128), False): "s",
    ((64, 64, 128), True): "e",
}
OURS: dict[str, tuple[int, ...]] = {
    "resnet18": (),
    "resnet50": (64, 64, 128),
    "resnet101": (64, 64, 128),
}  # widths of three convolutions


@dataclass(frozen=True)
class Variant:
    """Which ResNet the names and shapes of a file tell."""

    kind: str  # as in KINDS, or ""
    stem: dict[str, str]  # names of the first layer's parts
    widths: tuple[int, ...]  # of the three convolutions of the first layer; empty: one of 7x7
    averaged: bool  # average pooling in shortcuts

    @property
    def fits(self) -> bool:
        return OURS.get(self.kind) == self.widths and not self.averaged

    @property
    def name(self) -> str:
        """timm's name, or "" if it is none of those known here."""
        letter = LETTERS.get((self.widths, self.averaged), "")
        return f"{self.kind}{letter}" if self.kind and (letter or not self.widths) else ""

    def __str__(self) -> str:
        first = f"three convolutions of {', '.join(map(str, self.widths))}" if self.widths else "one of 7x7"
        shortcuts = ", and average pooling in its shortcuts" if self.averaged else ""
        return f"{self.name or 'another ResNet'}: its first layer is {first}{shortcuts}"


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    """Interpret the encoder; the ImageNet classifier is ignored. Raises CheckpointError, for a variant that
    this package has not, too."""
    checkpoint = only(checkpoints, "resnet")
    tensors, where = checkpoint.tensors, str(checkpoint.path)
    shape(tensors, "layer1.0.conv1.weight", 4, where)
    variant = _variant(tensors)
    if not variant.fits:
        raise CheckpointError(
            f"{where} is {variant}. Here are resnet18 with one of 7x7, and resnet50 and resnet101 with three "
            "of 64, 64, 128 channels (resnet50s and resnet101s of timm, resnet50_v2 and "
            f"resnet101_v2 of semseg); give one of these, or train with the backbone timm/"
            f"{variant.name or 'NAME'}, whose --init-encoder takes this file"
        )
    layout = Layout(
        by_prefix({**{f"encoder.layer0.{o}": t for o, t in variant.stem.items()}, "encoder.": ""}),
        ignored=r"fc\.",
        absent=("classifier",),
    )
    settings: dict[str, object] = {"architecture": "per_frame", "backbone": variant.kind}
    return Foreign(where, tensors, layout, settings | _normalisation(checkpoint))


def _variant(tensors: dict[str, Tensor]) -> Variant:
    stem = TIMM if "conv1.0.weight" in tensors else SEMSEG if "conv3.weight" in tensors else PLAIN
    widths = (
        tuple(_side(tensors, f"{stem[at]}weight", 0) for at in ("0.", "3.", "6."))
        if stem is not PLAIN
        else ()
    )
    depths = tuple(
        len({found[1] for name in tensors if (found := re.match(rf"layer{stage}\.(\d+)\.", name))})
        for stage in (1, 2, 3, 4)
    )
    is_bottleneck = "layer1.0.conv3.weight" in tensors
    # not so in ResNeXt (groups) and Wide ResNet
    is_plain = _side(tensors, "layer1.0.conv2.weight", 0) == _side(tensors, "layer1.0.conv2.weight", 1) == 64
    strange = r"layer\d\.\d+\.(?!(conv[123]|bn[123]|downsample\.[012])\.)"  # such as squeeze and excitation
    is_plain = is_plain and not any(re.match(strange, name) for name in tensors)
    averaged = any(re.match(r"layer\d\.0\.downsample\.2\.", name) for name in tensors)
    return Variant(KINDS.get((depths, is_bottleneck), "") if is_plain else "", stem, widths, averaged)


def _side(tensors: dict[str, Tensor], name: str, dimension: int) -> int:
    """Return the length of a tensor's dimension; 0 if it has none."""
    return tensors[name].shape[dimension] if name in tensors and tensors[name].ndim > dimension else 0


def _normalisation(checkpoint: Checkpoint) -> dict[str, object]:
    """Return the images' mean and standard deviation as timm's config.json has them, if it is there."""
    trained = read_json(checkpoint.path.with_name(CONFIG)).get("pretrained_cfg")
    names = {"mean": "image_mean", "std": "image_std"}
    return (
        {ours: trained[name] for name, ours in names.items() if name in trained}
        if isinstance(trained, dict)
        else {}
    )
