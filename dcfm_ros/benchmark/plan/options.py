# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `dcfm plan`. Without heavy libraries, so that its help text is quick."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields

from dcfm_ros.pipeline.settings import MAX_SIDE, MaskSize, NetworkSettings, PipelineConfig
from dcfm_ros.setting_fields import check, like, metadata_of, setting


def width_and_height(text: str) -> tuple[int, int]:
    """A size, as cameras state it: 640x480."""
    try:
        width, height = map(int, text.split("x"))
    except ValueError:
        raise ValueError(f"{text!r} is not width x height, as in 640x480") from None
    return width, height


@dataclass(frozen=True)
class PlanOptions:
    """The cameras to serve, what they may cost, and the models to choose from."""

    camera: tuple[int, int] = setting(
        (640, 480),
        "size of the cameras' images, width x height, as in 640x480",
        low=32,
        high=MAX_SIDE,
        unit="pixels",
        parse=width_and_height,
        metavar="WxH",
    )
    rate_hz: float = setting(
        15.0, "images per second of each camera", low=1, high=240, unit="images per second", option="--rate"
    )
    cameras: int = setting(1, "number of cameras, all in one node", low=1, high=16, metavar="N")
    share: float = setting(
        0.6, "share of the processor, all cores together, that masks may take", above=0, high=1
    )
    models: tuple[str, ...] = setting(
        (),
        "built-in model name or model folder; may be repeated, the preferred one first; default: all "
        "built-in models",
        option="--model",
        repeat=True,
        metavar="MODEL",
    )
    backend: str = like(NetworkSettings, "backend")
    device: str = like(NetworkSettings, "device")
    precision: str = like(NetworkSettings, "precision")
    mask_size: str = like(PipelineConfig, "mask_size")
    seconds: float = setting(
        30.0,
        "measure for about so long, all models together; loading and compiling come on top",
        low=5,
        high=3600,
        unit="seconds",
    )
    out: str = setting(
        "", "write the parameters file to launch with here; else it is printed", metavar="FILE"
    )

    def __post_init__(self):
        check(self)
        MaskSize(self.mask_size)

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W)"""
        width, height = self.camera
        return height, width

    def command(self) -> str:
        """The command line that gives these options."""
        words = ["dcfm", "plan"]
        for field in fields(self):
            value = getattr(self, field.name)
            option = metadata_of(field).option or f"--{field.name.replace('_', '-')}"
            if field.name == "models":
                words += [word for model in value for word in (option, model)]
            elif value != field.default:
                text = "x".join(map(str, value)) if field.name == "camera" else f"{value}"
                words += [option, text]
        return shlex.join(words)
