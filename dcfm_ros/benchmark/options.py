# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `dcfm benchmark`. Without heavy libraries, so that its help text is quick."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields

from dcfm_ros.pipeline.settings import NetworkSettings, PipelineConfig, TurnTaking
from dcfm_ros.setting_fields import check, choices_of, like, metadata_of, setting
from dcfm_ros.sources.source_kinds import source_forms

PER_FRAME, DCFM, SCHEDULES, GUARANTEE, STEPS, UPSAMPLING, KERNELS = GROUPS = (
    "per_frame",
    "dcfm",
    "schedules",
    "guarantee",
    "steps",
    "upsampling",
    "kernels",
)


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to measure, on what, for how long."""

    model: str | None = setting(
        None,
        "built-in model name or model folder, DCFM or per-frame; by default the built-in one",
        positional=True,
    )
    backbone: str | None = setting(None, "instead of a model: random weights, as in mit_b0")
    classes: int | None = setting(
        None, "with --backbone: number of classes; default: 11", low=2, high=255, metavar="N"
    )
    size: tuple[int, int] | None = setting(
        None,
        "network input instead of the model's; of another shape than the camera's, its number of pixels "
        "counts",
        low=32,
        high=8192,
        unit="pixels",
    )
    camera: tuple[int, int] | None = setting(
        None, "size of images and masks, if not the network's", low=32, high=8192, unit="pixels"
    )
    source: str = setting("synthetic", f"where images come from: {source_forms()}")
    backend: str = like(NetworkSettings, "backend")
    precision: str = like(NetworkSettings, "precision")
    device: str = like(NetworkSettings, "device")
    turns: str = like(
        PipelineConfig, "turns", TurnTaking.AUTO.value, choices=choices_of(PipelineConfig, "turns")
    )
    rate_hz: float = setting(
        15.0, "images per second of the rows with frames at a camera's rate", above=0, option="--rate"
    )
    seconds: float = setting(
        120.0,
        "measure for about so long, but three rounds at least; more narrows the quartiles",
        above=0,
        unit="seconds",
    )
    only: tuple[str, ...] = setting(GROUPS, "groups of rows", choices=GROUPS, metavar="GROUP,...")

    def __post_init__(self):
        check(self)
        if self.backbone is None and self.classes is not None:
            raise ValueError(
                f"classes {self.classes}: a model has its own; give the number with a backbone only"
            )
        if self.backbone is not None and self.model is not None:
            raise ValueError(f"model {self.model} and backbone {self.backbone}: give one of them")
        if not self.only:
            raise ValueError(f"nothing to measure: give some of {', '.join(GROUPS)}")

    @property
    def pipeline(self) -> PipelineConfig:
        """Of all rows; each puts in its own mode and scheduler."""
        return PipelineConfig(turns=TurnTaking(self.turns))

    def command(self) -> str:
        """The command line that gives these options."""
        words = ["dcfm", "benchmark"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            if field.name in ("size", "camera"):
                value = "x".join(map(str, value))
            elif isinstance(value, tuple):
                value = ",".join(value)
            known = metadata_of(field)
            option = known.option or f"--{field.name.replace('_', '-')}"
            words += [str(value)] if known.positional else [option, str(value)]
        return shlex.join(words)
