# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of a model: architecture, input size and class table. Validated on construction, stored as
model.yaml."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass, fields
from typing import Any

from dcfm_ros.model.backbone_specs import EFFICIENTNET_SPECS, MIT_SPECS, PREFIX, RESNET_SPECS
from dcfm_ros.model.normalisation import EFFICIENTNET_LITE, IMAGENET, Normalisation
from dcfm_ros.setting_fields import ConfigError, check, setting

__all__ = ["ARCHITECTURES", "SHALLOW_ON", "ClassSpec", "ConfigError", "ModelConfig"]

BACKBONES: dict[str, Any] = {**MIT_SPECS, **EFFICIENTNET_SPECS, **RESNET_SPECS}
ARCHITECTURES = ("dcfm", "per_frame")
FUSIONS = ("linear", "relu")
_WIDEST = 4096  # channels; weights of wider layers take gigabytes
SHALLOW_ON = ("all", "nonkey", "key")
# Ends of lines, escape sequences of terminals, halves of UTF-16: names are printed, and stand in files.
_NOT_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")


@dataclass(frozen=True)
class ClassSpec:
    """One row of the class table; its position in the table is the class id."""

    name: str
    color: tuple[int, int, int] = setting(description="RGB", low=0, high=255)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a class has no name: give every class a name")
        if any(unicodedata.category(sign) in _NOT_IN_NAMES for sign in str(self.name)):
            raise ConfigError(f"class {self.name!r}: its name has control characters; leave them out")
        try:
            check(self)
        except ConfigError as error:
            raise ConfigError(f"class {self.name!r}: {error}") from None

    @classmethod
    def of(cls, entry: Any) -> ClassSpec:
        """Return a row from a ClassSpec, or from a mapping with `name` and `color`."""
        if isinstance(entry, ClassSpec):
            return entry
        if not isinstance(entry, dict) or set(entry) != {"name", "color"}:
            raise ConfigError(
                f"class {entry!r}: give its name and color, as in {{name: road, color: [128, 64, 128]}}"
            )
        return cls(**entry)


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build the network; weights and training record are stored beside it.

    The input size defines a pixel budget: a camera with another aspect ratio gets another shape with about
    that many pixels.
    """

    backbone: str
    classes: tuple[ClassSpec, ...]
    architecture: str = setting(
        "dcfm",
        "dcfm, or per_frame: the backbone and a classifier, every frame on its own",
        choices=ARCHITECTURES,
    )
    input_height: int = setting(360, "height of the network's input", low=32, high=8192, unit="pixels")
    input_width: int = setting(480, "width of the network's input", low=32, high=8192, unit="pixels")
    embed: int = setting(
        256, "width of SegFormer's fusion (published: 256); ResNet has none", low=1, high=_WIDEST
    )
    fusion: str = setting(
        "linear",
        "what each stage passes in SegFormer's fusion: linear, a linear layer, as published, or relu, "
        "convolution, batch norm and ReLU, as in MMSegmentation",
        choices=FUSIONS,
    )
    common_width: int = setting(
        0,
        "width of the common feature; 0: that of the deep feature, without a convolution",
        low=0,
        high=_WIDEST,
    )
    shallow_used: int = setting(0, "s, the shallow channels that the fusion reads; 0: half of them")
    shallow_on: str = setting(
        "all",
        "frames whose shallow feature is used: all, or, for ablations, nonkey or key",
        choices=SHALLOW_ON,
    )
    head_layers: int = setting(
        0,
        "layers before the classifier's last: 0 (1x1 convolution) or 1 (convolution, BN, ReLU, convolution)",
        low=0,
        high=1,
    )
    dropout: float = setting(0.1, "probability of dropout before the classifier", low=0, below=1)
    drop_path: float = setting(0.0, "probability of stochastic depth in the backbone", low=0, below=1)
    block_eps: float = setting(1e-6, "epsilon of the normalisation layers of the backbone's blocks")
    inner_eps: float = setting(1e-5, "epsilon of the normalisation layers within them")
    image_mean: tuple[float, float, float] | None = setting(
        None,
        "mean of RGB / 255, by which images are normalised; by default as the backbone was published",
        low=0,
        high=1,
    )
    image_std: tuple[float, float, float] | None = setting(
        None, "standard deviation of RGB / 255, likewise", low=0.001, high=10
    )

    def __post_init__(self) -> None:
        if isinstance(self.classes, (list, tuple)):
            object.__setattr__(self, "classes", tuple(ClassSpec.of(entry) for entry in self.classes))
        check(self)
        classes = self.classes
        if self.backbone not in BACKBONES and not self.is_timm:
            raise ConfigError(
                f"unknown backbone {self.backbone!r}: use one of {', '.join(BACKBONES)}, or timm/NAME"
            )
        if not 1 <= len(classes) <= 255:
            raise ConfigError(f"{len(classes)} classes: use 1 to 255 (the mask value 255 means unlabelled)")
        if len({c.name for c in classes}) != len(classes):
            raise ConfigError(f"class names repeat: {[c.name for c in classes]}; make them unique")
        usual = (
            self._timm_spec.normalisation
            if self.is_timm
            else EFFICIENTNET_LITE
            if self.backbone in EFFICIENTNET_SPECS
            else IMAGENET
        )
        object.__setattr__(self, "image_mean", self.image_mean or usual.mean)
        object.__setattr__(self, "image_std", self.image_std or usual.std)
        available = self.shallow_channels
        object.__setattr__(self, "shallow_used", self.shallow_used or available // 2)
        if not 1 <= self.shallow_used <= available:
            raise ConfigError(
                f"shallow_used {self.shallow_used}: {self.backbone} has 1 to {available} shallow channels"
            )

    @property
    def is_mit(self) -> bool:
        return self.backbone in MIT_SPECS

    @property
    def is_timm(self) -> bool:
        return self.backbone.startswith(PREFIX)

    @property
    def _timm_spec(self) -> Any:
        from dcfm_ros.model.timm_backbone import timm_spec  # which imports PyTorch

        return timm_spec(self.backbone)

    @property
    def normalisation(self) -> Normalisation:
        assert self.image_mean is not None and self.image_std is not None  # `__post_init__` fills them in
        return Normalisation(self.image_mean, self.image_std)

    @property
    def fuses_stages(self) -> bool:
        """Whether the deep feature is SegFormer's fusion of all stages; otherwise it is the last stage's
        output."""
        return self.backbone not in RESNET_SPECS

    @property
    def shallow_channels(self) -> int:
        """C_s, channels of the independent feature."""
        return (self._timm_spec if self.is_timm else BACKBONES[self.backbone]).shallow_channels

    @property
    def deep_channels(self) -> int:
        """Channels of the deep feature D."""
        return self.embed if self.fuses_stages else RESNET_SPECS[self.backbone].deep_channels

    @property
    def common_channels(self) -> int:
        """Channels of the common feature C."""
        return self.common_width or self.deep_channels

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    def to_dict(self) -> dict:
        mean, std = self.normalisation
        plain = asdict(self) | {"image_mean": list(mean), "image_std": list(std)}
        plain["classes"] = [{"name": c.name, "color": list(c.color)} for c in self.classes]
        return plain

    @classmethod
    def from_dict(cls, plain: dict) -> ModelConfig:
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(plain) - known):
            raise ConfigError(f"unknown model settings {unknown}: known are {sorted(known)}")
        if missing := sorted({"backbone", "classes"} - set(plain)):
            raise ConfigError(f"model settings lack {missing}: add them")
        return cls(**plain)
