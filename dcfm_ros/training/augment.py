# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data augmentation: the same geometry for both frames and their labels, in a single warp straight to the
crop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.setting_fields import ConfigError, check, setting
from dcfm_ros.sources.clips.soft_labels import STRIDE, TOP, log_shares
from dcfm_ros.training.camera_effects import draw_effects, with_effects
from dcfm_ros.training.pairs import Pair
from dcfm_ros.training.targets import kept

ZOOM_DRAWS = ("log", "linear", "crop")


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges of the random changes; a zoom above 1 enlarges. Rotation in degrees, colour changes as
    fractions.

    zoom_draw: which quantity is drawn uniformly: the logarithm of the zoom (log), the zoom (linear: published
        for VSPW), or the side of the crop in the picture (crop: published for Cityscapes and CamVid)
    """

    min_zoom: float = setting(0.6, "smallest zoom", low=0.1, high=10)
    max_zoom: float = setting(1.6, "largest zoom", low=0.1, high=10)
    zoom_draw: str = setting("log", "what is drawn uniformly", choices=ZOOM_DRAWS)
    stretch: float = setting(0.05, "spread of the logarithm of the change in aspect ratio", low=0, high=1)
    rotation: float = setting(4.0, "largest rotation", low=0, high=180, unit="degrees")
    color: float = setting(0.25, "colour change of both frames alike", low=0, high=1)
    color_labelled: float = setting(0.06, "further colour change of the labelled frame alone", low=0, high=1)
    color_neighbour: float = setting(0.06, "further colour change of the neighbour alone", low=0, high=1)
    effects: float = setting(
        0.0, "share of pairs with each effect of camera, light and weather (camera_effects.py)", low=0, high=1
    )
    rare_center: float = setting(
        0.6, "share of crops centred on a pixel of a class drawn evenly from those present", low=0, high=1
    )

    def __post_init__(self):
        check(self)
        if self.min_zoom > self.max_zoom:
            raise ConfigError(f"zoom range {self.min_zoom}..{self.max_zoom}: use min_zoom <= max_zoom")


def augment(pair: Pair, height: int, width: int, config: AugmentConfig, rng: np.random.Generator) -> Pair:
    """Return a randomly changed crop (height, width) of the pair; pixels from outside the picture are
    void."""
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

    def label(source: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(
            source,
            matrix,
            (width, height),
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=IGNORE_LABEL,
        )

    return replace(
        pair,
        image=image(pair.image, config.color_labelled),
        label=label(pair.label),
        neighbour=image(pair.neighbour, config.color_neighbour),
        neighbour_label=None if pair.neighbour_label is None else label(pair.neighbour_label),
        soft=None
        if pair.soft is None
        else np.stack([_warped(soft, matrix, height, width) for soft in pair.soft]),
    )


def _warped(soft: np.ndarray, matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the targets (height, width, 2 * KEPT) of soft labels (h, w, 2 * TOP), under a map of the image's
    pixels. They are interpolated as the teacher's logits are for its mask, so that edges stay sharp. Cell c
    is centred on pixel STRIDE * c + (STRIDE - 1) / 2."""
    offset = matrix[:, :2].sum(axis=1, keepdims=True) * (STRIDE - 1) / 2 + matrix[:, 2:]
    of_cells = np.concatenate([STRIDE * matrix[:, :2], offset], axis=1)
    known = np.unique(soft[..., :TOP])
    known = known[known != IGNORE_LABEL]
    logs = log_shares(soft, int(known.max(initial=0)) + 1)[..., [*known, -1]]
    outside = np.full(logs.shape[2], logs.min(), np.float32)
    outside[-1] = 0.0  # no label
    crops = [
        cv2.warpAffine(
            np.ascontiguousarray(logs[..., number]),
            of_cells,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float(outside[number]),
        )
        for number in range(logs.shape[2])
    ]
    return kept(np.stack(crops), np.append(known, IGNORE_LABEL))


def _geometry(
    label: np.ndarray, height: int, width: int, config: AugmentConfig, rng: np.random.Generator
) -> np.ndarray:
    """Return the affine map from source to crop."""
    source_height, source_width = label.shape
    zoom = _zoom(config, rng)
    stretch = float(np.exp(rng.normal(0.0, config.stretch)))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = linear @ np.diag([zoom * stretch * flip, zoom / stretch])

    half = np.array([width / zoom, height / zoom]) / 2  # keep the crop inside the picture if possible
    low = np.minimum(half, np.array([source_width, source_height]) / 2)
    high = np.array([source_width, source_height]) - low
    centre = rng.uniform(low, high)
    if rng.random() < config.rare_center:
        present = [c for c in np.unique(label[::4, ::4]) if c != IGNORE_LABEL]
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
    """Draw logarithmic gains, offset, saturation and gamma; changes are additive."""
    return rng.uniform(-amount, amount, 6)


def _recolor(image: np.ndarray, change: np.ndarray) -> np.ndarray:
    if not change.any():
        return image
    gains = np.exp(change[0] + np.array([change[1], 0.0, change[2]]) * 0.5)
    saturation, gamma, offset = np.exp(change[3]), np.exp(change[4]), change[5] * 0.3
    levels = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gains + offset
    table = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    image = cv2.LUT(image, table[None])
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, float(saturation), grey, float(1.0 - saturation), 0)
