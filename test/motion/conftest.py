# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of motion share: pictures of a smooth random scene from where a camera stands."""

from functools import lru_cache

import cv2
import numpy as np
import pytest

_ROOM = 80  # pixels of the scene on each side of what is seen from (0, 0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture
def seen():
    """`seen(size, at=(0, 0), noise=0.0, seed=0, scene=0)`: picture (*size, 3) uint8 of a camera that moved by
    `at` pixels (x, y).

    What is at p in it is at p + at - other in the picture from `other`. noise: its spread in grey levels, of
    this `seed`
    """

    def picture(size, at=(0, 0), noise=0.0, seed=0, scene=0):
        matrix = np.float32([[1, 0, _ROOM + at[0]], [0, 1, _ROOM + at[1]]])
        image = cv2.warpAffine(
            _texture(size, scene), matrix, size[::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        )
        if noise:
            image = image + np.random.default_rng(seed).normal(0.0, noise, image.shape)
        return np.clip(image, 0, 255).round().astype(np.uint8)

    return picture


@pytest.fixture
def inner():
    """`inner(array, cells)`: without so many at each border, where what has come in is not known."""
    return lambda array, cells: array[cells:-cells, cells:-cells]


@lru_cache(maxsize=8)
def _texture(size, scene):
    rng, whole = np.random.default_rng(scene), (size[0] + 2 * _ROOM, size[1] + 2 * _ROOM, 3)
    fine, coarse = (
        cv2.GaussianBlur(rng.normal(size=whole).astype(np.float32), (0, 0), sigma) for sigma in (3, 12)
    )
    return 128 + 35 * (fine / fine.std() + coarse / coarse.std())
