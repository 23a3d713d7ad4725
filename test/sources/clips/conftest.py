# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Miniature data sets."""

from pathlib import Path

import cv2
import numpy as np
import pytest

SIZE = (24, 32)  # height, width


class Tree:
    """Writes the files of a data set below `root`."""

    def __init__(self, root: Path):
        self.root = root

    def image(self, path: str, value: int = 90, size=SIZE):
        self._write(path, np.full((*size, 3), value, np.uint8))

    def label(self, path: str, value: int = 0, size=SIZE):
        """A label of `value` whose first row is 255."""
        label = np.full(size, value, np.uint8)
        label[0] = 255
        self._write(path, label)

    def text(self, path: str, text: str):
        self._place(path).write_text(text)

    def remove(self, path: str):
        self._place(path).unlink()

    def _write(self, path, pixels):
        assert cv2.imwrite(str(self._place(path)), pixels)

    def _place(self, path):
        place = self.root / path
        assert place.is_relative_to(self.root), f"{path} lies outside the tree"
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "data_set")
