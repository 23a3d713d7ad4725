# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model is: architecture, input size class, class table. Validated on construction, stored as
model.yaml."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from dcfm_ros.model.efficientnet import EFFICIENTNET_SPECS
from dcfm_ros.model.image import EFFICIENTNET_LITE, IMAGENET, Normalisation
from dcfm_ros.model.mit import MIT_SPECS
from dcfm_ros.model.resnet import RESNET_SPECS
from dcfm_ros.model.settings_types import ConfigError, check_types
from dcfm_ros.model.timm_backbone import PREFIX, timm_spec

__all__ = ["ARCHITECTURES", "SHALLOW_ON", "ClassSpec", "ConfigError", "ModelConfig"]

BACKBONES = {**MIT_SPECS, **EFFICIENTNET_SPECS, **RESNET_SPECS}
ARCHITECTURES = ("dcfm", "per_frame")
SHALLOW_ON = ("all", "nonkey", "key")


@dataclass(frozen=True)
class ClassSpec:
    """One row of the class table; its position in the table is the class id."""

    name: str
    color: tuple[int, int, int]  # RGB, 0..255

    def __post_init__(self):
        if not self.name:
            raise ConfigError("a class has no name: give every class a name")
        try:
            check_types(self)
        except ConfigError as error:
            raise ConfigError(f"class {self.name!r}: {error}") from None
        if not all(0 <= value <= 255 for value in self.color):
            raise ConfigError(f"class {self.name!r}: color {self.color} is not three integers 0..255 (RGB)")

    @classmethod
    def of(cls, entry) -> ClassSpec:
        """A row as it is, or from `name` and `color` of a mapping."""
        if isinstance(entry, ClassSpec):
            return entry
        if not isinstance(entry, dict) or set(entry) != {"name", "color"}:
            raise ConfigError(
                f"class {entry!r}: give its name and color, as in {{name: road, color: [128, 64, 128]}}"
            )
        return cls(**entry)


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build the network; weights and training record are kept beside it.

    The input size names a pixel budget: a camera of another aspect ratio gets another shape of about that
    many pixels.
    """

    backbone: str
    classes: tuple[ClassSpec, ...]
    architecture: str = "dcfm"  # or per_frame: the backbone and a classifier, every frame on its own
    input_height: int = 360
    input_width: int = 480
    embed: int = 256  # width of SegFormer's fusion; not of ResNet, which has none
    common_width: int = 0  # of the common feature; 0: that of the deep feature, without a convolution
    shallow_used: int = 0  # s, the shallow channels the fusion reads; 0: half of them
    shallow_on: str = "all"  # frames whose shallow feature is used: all, or, for ablations, nonkey or key
    head_layers: int = 0
    dropout: float = 0.1
    drop_path: float = 0.0
    block_eps: float = 1e-6
    inner_eps: float = 1e-5
    # Of an image's RGB / 255, by which it is normalised; by default as the backbone was published.
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None

    def __post_init__(self):
        if isinstance(self.classes, (list, tuple)):
            object.__setattr__(self, "classes", tuple(ClassSpec.of(entry) for entry in self.classes))
        check_types(self)
        classes = self.classes
        if self.backbone not in BACKBONES and not self.is_timm:
            raise ConfigError(
                f"unknown backbone {self.backbone!r}: use one of {', '.join(BACKBONES)}, or timm/NAME"
            )
        for name, choices in (("architecture", ARCHITECTURES), ("shallow_on", SHALLOW_ON)):
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} {getattr(self, name)!r}: use one of {', '.join(choices)}")
        if not 1 <= len(classes) <= 255:
            raise ConfigError(f"{len(classes)} classes: a mask holds 1 to 255 (255 itself means unlabelled)")
        if len({c.name for c in classes}) != len(classes):
            raise ConfigError(f"class names repeat: {[c.name for c in classes]}; make them unique")
        for name in ("input_height", "input_width"):
            if not 32 <= getattr(self, name) <= 8192:
                raise ConfigError(f"{name} {getattr(self, name)} is out of range: use 32 to 8192 pixels")
        if self.head_layers not in (0, 1):
            raise ConfigError(
                f"head_layers {self.head_layers}: use 0 (1x1 convolution) or 1 (convolution, BN, ReLU, "
                "convolution)"
            )
        for name in ("dropout", "drop_path"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: use a probability from 0 to less than 1")
        if self.embed < 1:
            raise ConfigError(f"embed {self.embed}: use a positive width (published: 256)")
        if self.common_width < 0:
            raise ConfigError(
                f"common_width {self.common_width}: use a positive width, or 0 for that of the deep feature"
            )
        usual = (
            timm_spec(self.backbone).normalisation
            if self.is_timm
            else EFFICIENTNET_LITE
            if self.backbone in EFFICIENTNET_SPECS
            else IMAGENET
        )
        object.__setattr__(self, "image_mean", self.image_mean or usual.mean)
        object.__setattr__(self, "image_std", self.image_std or usual.std)
        if not all(0.0 <= value <= 1.0 for value in self.image_mean) or not all(
            1e-3 <= value <= 10 for value in self.image_std
        ):
            raise ConfigError(
                f"image_mean {self.image_mean}, image_std {self.image_std}: these are of RGB / 255; use "
                f"means of 0 "
                "to 1 and deviations of 0.001 to 10"
            )
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
    def normalisation(self) -> Normalisation:
        return Normalisation(self.image_mean, self.image_std)

    @property
    def fuses_stages(self) -> bool:
        """Whether the deep feature is SegFormer's fusion of all stages; else it is the last stage's."""
        return self.backbone not in RESNET_SPECS

    @property
    def shallow_channels(self) -> int:
        """C_s, channels of the independent feature."""
        spec = timm_spec(self.backbone) if self.is_timm else BACKBONES[self.backbone]
        return spec.shallow_channels

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
        plain = asdict(self) | {"image_mean": list(self.image_mean), "image_std": list(self.image_std)}
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
