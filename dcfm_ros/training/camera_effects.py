# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What cameras, light and weather do to a picture: both frames of a pair were taken by one camera in one
minute, so what is drawn holds for both, and only noise is each frame's own.

By OpenCV, which is there anyway; what differs between two frames and what does not is not for a library of
single images to know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

Effect = Callable[
    [np.ndarray, np.random.Generator], np.ndarray
]  # (H, W, 3) uint8, and the frame's own randomness


def draw_effects(share: float, size: tuple[int, int], rng: np.random.Generator) -> list[Effect]:
    """For pictures of size (H, W): each effect in that share of cases. In the order in which they come about:
    light and air, lens, sensor, file."""
    return [
        draw(size, rng)
        for draw in (_lighting, _haze, _rain, _blur, _resolution, _colour, _noise, _jpeg)
        if rng.random() < share
    ]


def with_effects(image: np.ndarray, effects: Sequence[Effect], rng: np.random.Generator) -> np.ndarray:
    for effect in effects:
        image = effect(image, rng)
    return image


def _scaled(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Pixels times a field (H, W)."""
    return np.clip(image * field[..., None], 0, 255).astype(np.uint8)


def _field(size: tuple[int, int], grid: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 of 0 to 1, smooth between grid x grid points."""
    return cv2.resize(rng.random((grid, grid), np.float32), size[::-1], interpolation=cv2.INTER_CUBIC).clip(
        0, 1
    )


def _lighting(size, rng) -> Effect:
    """Shadows, lit places and dark corners, over the picture."""
    depth, sharpness = rng.uniform(0.2, 0.7), rng.uniform(1.0, 8.0)
    field = 1 - depth / (1 + np.exp(-sharpness * 4 * (_field(size, int(rng.integers(2, 6)), rng) - 0.5)))
    if rng.random() < 0.5:
        y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j].astype(np.float32)
        field *= 1 - rng.uniform(0.1, 0.4) * (x * x + y * y)
    field = np.float32(field / field.mean())
    return lambda image, own: _scaled(image, field)


def _haze(size, rng) -> Effect:
    """Mist, glare or a dirty screen: contrast is lost towards a light grey, most of it around some height
    (the horizon)."""
    rows = np.linspace(0, 1, size[0], dtype=np.float32)[:, None]
    horizon, spread, most = rng.uniform(0.2, 0.6), rng.uniform(0.15, 1.0), rng.uniform(0.2, 0.7)
    share = most * np.exp(-(((rows - horizon) / spread) ** 2)) * (0.6 + 0.4 * _field(size, 4, rng))
    grey, share = rng.uniform(120, 250) + rng.normal(0, 6, 3), share[..., None]
    return lambda image, own: np.clip(image * (1 - share) + grey * share, 0, 255).astype(np.uint8)


def _rain(size, rng) -> Effect:
    """Streaks, or flakes where they are short, in each frame at other places."""
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
        return np.uint8(image * (1 - share) + grey * share)

    return effect


def _blur(size, rng) -> Effect:
    """Out of focus, or moved while the shutter was open."""
    if rng.random() < 0.5:
        sigma = rng.uniform(0.4, 1.8)
        return lambda image, own: cv2.GaussianBlur(image, (0, 0), sigma)
    length, angle = int(rng.integers(3, 10)), rng.uniform(0, 180)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), angle, 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    kernel /= kernel.sum()
    return lambda image, own: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


def _resolution(size, rng) -> Effect:
    """Of a camera with fewer pixels, or sharpened by one."""
    if rng.random() < 0.35:
        amount = rng.uniform(0.3, 1.2)
        return lambda image, own: cv2.addWeighted(
            image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 1.2), -amount, 0
        )
    scale = rng.uniform(0.4, 0.9)
    small = (max(1, round(size[1] * scale)), max(1, round(size[0] * scale)))
    return lambda image, own: cv2.resize(cv2.resize(image, small, interpolation=cv2.INTER_AREA), size[::-1])


def _colour(size, rng) -> Effect:
    """Other sensors and white balances: channels mix; now and then there is no colour at all."""
    if rng.random() < 0.15:
        return lambda image, own: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    mix = np.eye(3) + rng.normal(0, 0.12, (3, 3))
    mix = np.float32(mix / mix.sum(1, keepdims=True) * np.exp(rng.normal(0, 0.12, (3, 1))))
    return lambda image, own: cv2.transform(image, mix)


def _noise(size, rng) -> Effect:
    """Of the sensor, more of it where the picture is dark; each channel its own, or of brightness alone."""
    read, shot, channels = rng.uniform(1, 12), rng.uniform(0, 8), 3 if rng.random() < 0.6 else 1

    def effect(image: np.ndarray, own: np.random.Generator) -> np.ndarray:
        deviation = read + shot * np.sqrt((255 - image.astype(np.float32)) / 255)
        return np.clip(image + deviation * own.standard_normal((*size, channels), np.float32), 0, 255).astype(
            np.uint8
        )

    return effect


def _jpeg(size, rng) -> Effect:
    quality = int(rng.integers(12, 80))

    def effect(image: np.ndarray, own: np.random.Generator) -> np.ndarray:
        _, data = cv2.imencode(
            ".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality)
        )  # of blue and red none the wiser
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    return effect
