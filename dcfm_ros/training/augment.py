# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: the same geometry for both frames and their labels, one warp each, straight to the crop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from dcfm_ros.model.settings_types import ConfigError, check_types
from dcfm_ros.training.camera_effects import draw_effects, with_effects
from dcfm_ros.training.pairs import VOID, Pair

ZOOM_DRAWS = ("log", "linear", "crop")


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges of the random changes; zoom above 1 enlarges. Rotation in degrees, colour changes as fractions.

    zoom_draw says what is uniform: the logarithm of the zoom (log), the zoom (linear: the published VSPW
    scale), or the side of the crop in the picture (crop: published Cityscapes and CamVid).
    """

    min_zoom: float = 0.6
    max_zoom: float = 1.6
    zoom_draw: str = "log"
    stretch: float = 0.05  # spread of the logarithm of the change in aspect ratio
    rotation: float = 4.0
    color: float = 0.25  # of both frames alike
    color_labelled: float = 0.06  # further change of the labelled frame alone
    color_neighbour: float = 0.06  # and of the neighbour alone
    effects: float = 0.0  # share of pairs with each effect of camera, light and weather (camera_effects.py)
    rare_center: float = 0.6  # share of crops centred on a pixel of a class drawn evenly from those present

    def __post_init__(self):
        check_types(self)
        if not 0.1 <= self.min_zoom <= self.max_zoom <= 10:
            raise ConfigError(
                f"zoom range {self.min_zoom}..{self.max_zoom}: use 0.1 <= min_zoom <= max_zoom <= 10"
            )
        if self.zoom_draw not in ZOOM_DRAWS:
            raise ConfigError(f"zoom_draw {self.zoom_draw!r}: use one of {', '.join(ZOOM_DRAWS)}")
        if not 0 <= self.rotation <= 180:
            raise ConfigError(f"rotation {self.rotation}: use 0 to 180 degrees")
        for name in ("stretch", "color", "color_labelled", "color_neighbour", "effects", "rare_center"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} {getattr(self, name)}: use a fraction 0..1")


def augment(pair: Pair, height: int, width: int, config: AugmentConfig, rng: np.random.Generator) -> Pair:
    """A crop of (height, width) of the pair, changed at random; what lies outside the picture is void."""
    matrix = _geometry(pair.label, height, width, config, rng)
    common = _color_change(config.color, rng)
    effects = draw_effects(config.effects, (height, width), rng) if config.effects else []

    def image(source: np.ndarray, color: float) -> np.ndarray:
        crop = cv2.warpAffine(
            source,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(124, 116, 104),
        )
        return with_effects(_recolor(crop, common + _color_change(color, rng)), effects, rng)

    def label(source: np.ndarray | None) -> np.ndarray | None:
        return (
            None
            if source is None
            else cv2.warpAffine(
                source,
                matrix,
                (width, height),
                flags=cv2.INTER_NEAREST,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=VOID,
            )
        )

    return replace(
        pair,
        image=image(pair.image, config.color_labelled),
        label=label(pair.label),
        neighbour=image(pair.neighbour, config.color_neighbour),
        neighbour_label=label(pair.neighbour_label),
    )


def _geometry(
    label: np.ndarray, height: int, width: int, config: AugmentConfig, rng: np.random.Generator
) -> np.ndarray:
    """Affine map from source to crop."""
    source_height, source_width = label.shape
    zoom = _zoom(config, rng)
    stretch = float(np.exp(rng.normal(0.0, config.stretch)))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = linear @ np.diag([zoom * stretch * flip, zoom / stretch])

    half = np.array([width / zoom, height / zoom]) / 2  # keep the crop inside the picture where it fits
    low = np.minimum(half, np.array([source_width, source_height]) / 2)
    high = np.array([source_width, source_height]) - low
    centre = rng.uniform(low, high)
    if rng.random() < config.rare_center:
        present = [c for c in np.unique(label[::4, ::4]) if c != VOID]
        if present:
            rows, columns = np.nonzero(label[::4, ::4] == present[int(rng.integers(len(present)))])
            pick = int(rng.integers(len(rows)))
            wanted = np.array([columns[pick], rows[pick]]) * 4 + rng.uniform(-0.5, 0.5, 2) * half
            centre = np.clip(wanted, low, high)
    offset = np.array([width / 2, height / 2]) - linear @ centre
    return np.concatenate([linear, offset[:, None]], axis=1)


def _zoom(config: AugmentConfig, rng: np.random.Generator) -> float:
    if config.zoom_draw == "linear":
        return float(rng.uniform(config.min_zoom, config.max_zoom))
    if config.zoom_draw == "crop":
        return float(1.0 / rng.uniform(1.0 / config.max_zoom, 1.0 / config.min_zoom))
    return float(np.exp(rng.uniform(np.log(config.min_zoom), np.log(config.max_zoom))))


def _color_change(amount: float, rng: np.random.Generator) -> np.ndarray:
    """Logarithmic gain, offset, saturation and gamma; changes add."""
    return rng.uniform(-amount, amount, 6)


def _recolor(image: np.ndarray, change: np.ndarray) -> np.ndarray:
    if not change.any():
        return image
    gains = np.exp(change[0] + np.array([change[1], 0.0, change[2]]) * 0.5)
    saturation, gamma, offset = np.exp(change[3]), np.exp(change[4]), change[5] * 0.3
    levels = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gains + offset
    table = np.uint8(np.rint(np.clip(levels, 0, 1) * 255))
    image = cv2.LUT(image, table[None])
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, float(saturation), grey, float(1.0 - saturation), 0)
