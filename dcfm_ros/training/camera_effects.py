# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulates effects of camera, light and weather. Both frames of a pair come from one camera within a minute,
so what is drawn applies to both; only noise differs per frame.

Written with OpenCV, a dependency anyway: augmentation libraries for single images do not know which effects
two frames share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

# (H, W, 3) uint8 image, and the frame's own generator
Effect = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def draw_effects(share: float, size: tuple[int, int], rng: np.random.Generator) -> list[Effect]:
    """Draw effects for pictures of size (H, W), each with probability `share`, in the order in which they
    occur: light and air, lens, sensor, file."""
    return [
        draw(size, rng)
        for draw in (_lighting, _haze, _rain, _blur, _resolution, _colour, _noise, _jpeg)
        if rng.random() < share
    ]


def with_effects(image: np.ndarray, effects: Sequence[Effect], rng: np.random.Generator) -> np.ndarray:
    """Apply the effects to an image."""
    for effect in effects:
        image = effect(image, rng)
    return image


def _scaled(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Multiply pixels by a field (H, W)."""
    return np.clip(image * field[..., None], 0, 255).astype(np.uint8)


def _field(size: tuple[int, int], grid: int, rng: np.random.Generator) -> np.ndarray:
    """Return a (H, W) float32 field of 0 to 1, smooth between grid x grid points."""
    return cv2.resize(rng.random((grid, grid), np.float32), size[::-1], interpolation=cv2.INTER_CUBIC).clip(
        0, 1
    )


def _lighting(size, rng) -> Effect:
    """Shadows, bright areas and vignetting."""
    depth, sharpness = rng.uniform(0.2, 0.7), rng.uniform(1.0, 8.0)
    field = 1 - depth / (1 + np.exp(-sharpness * 4 * (_field(size, int(rng.integers(2, 6)), rng) - 0.5)))
    if rng.random() < 0.5:
        y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j].astype(np.float32)
        field *= 1 - rng.uniform(0.1, 0.4) * (x * x + y * y)
    field = (field / field.mean()).astype(np.float32)
    return lambda image, own: _scaled(image, field)


def _haze(size, rng) -> Effect:
    """Fog, glare or a dirty lens: contrast is reduced towards a light grey, most around a certain height (the
    horizon)."""
    rows = np.linspace(0, 1, size[0], dtype=np.float32)[:, None]
    horizon, spread, most = rng.uniform(0.2, 0.6), rng.uniform(0.15, 1.0), rng.uniform(0.2, 0.7)
    share = most * np.exp(-(((rows - horizon) / spread) ** 2)) * (0.6 + 0.4 * _field(size, 4, rng))
    grey, share = rng.uniform(120, 250) + rng.normal(0, 6, 3), share[..., None]
    return lambda image, own: np.clip(image * (1 - share) + grey * share, 0, 255).astype(np.uint8)


def _rain(size, rng) -> Effect:
    """Streaks, or flakes if they are short, at different places in each frame."""
    count, length, slope = (
        int(rng.integers(50, 400) * size[1] / 480),
        rng.uniform(0, 25),
        rng.uniform(-0.3, 0.3),
    )
    grey, opacity = int(rng.integers(150, 255)), rng.uniform(0.2, 0.6)

    def effect(image: np.ndarray, own: np.random.Generator) -> np.ndarray:
        streaks = np.zeros(size, np.uint8)
        for x, y, long in zip(
            own.integers(0, size[1], count),
            own.integers(0, size[0], count),
            own.uniform(0.5, 1.0, count) * length,
        ):
            cv2.line(
                streaks, (int(x), int(y)), (int(x + slope * long), int(y + long)), 255, 1 + int(long < 3)
            )
        share = opacity / 255 * cv2.GaussianBlur(streaks, (0, 0), 0.6)[..., None]
        return (image * (1 - share) + grey * share).astype(np.uint8)

    return effect


def _blur(size, rng) -> Effect:
    """Defocus, or motion blur."""
    if rng.random() < 0.5:
        sigma = rng.uniform(0.4, 1.8)
        return lambda image, own: cv2.GaussianBlur(image, (0, 0), sigma)
    length, angle = int(rng.integers(3, 10)), rng.uniform(0, 180)
    level = np.zeros((length, length), np.float32)
    level[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), angle, 1)
    turned = cv2.warpAffine(level, turn, (length, length))
    kernel = turned / turned.sum()
    return lambda image, own: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


def _resolution(size, rng) -> Effect:
    """A camera with fewer pixels, or with sharpening."""
    if rng.random() < 0.35:
        amount = rng.uniform(0.3, 1.2)
        return lambda image, own: cv2.addWeighted(
            image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 1.2), -amount, 0
        )
    scale = rng.uniform(0.4, 0.9)
    small = (max(1, round(size[1] * scale)), max(1, round(size[0] * scale)))
    return lambda image, own: cv2.resize(cv2.resize(image, small, interpolation=cv2.INTER_AREA), size[::-1])


def _colour(size, rng) -> Effect:
    """Other sensors and white balances: channels are mixed; occasionally the image is grey."""
    if rng.random() < 0.15:
        return lambda image, own: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    mix = np.eye(3) + rng.normal(0, 0.12, (3, 3))
    mix = (mix / mix.sum(1, keepdims=True) * np.exp(rng.normal(0, 0.12, (3, 1)))).astype(np.float32)
    return lambda image, own: cv2.transform(image, mix)


def _noise(size, rng) -> Effect:
    """Sensor noise, stronger in dark areas; independent per channel, or of brightness only."""
    read, shot, channels = rng.uniform(1, 12), rng.uniform(0, 8), 3 if rng.random() < 0.6 else 1

    def effect(image: np.ndarray, own: np.random.Generator) -> np.ndarray:
        deviation = read + shot * np.sqrt((255 - image.astype(np.float32)) / 255)
        return np.clip(image + deviation * own.standard_normal((*size, channels), np.float32), 0, 255).astype(
            np.uint8
        )

    return effect


def _jpeg(size, rng) -> Effect:
    """JPEG artefacts."""
    quality = int(rng.integers(12, 80))

    def effect(image: np.ndarray, own: np.random.Generator) -> np.ndarray:
        # the order of red and blue does not matter here
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was written just now
        return decoded

    return effect
