# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images as PNG files."""

import os

import cv2
import numpy as np
import pytest

from dcfm_ros.reports.png import write_png


@pytest.mark.parametrize(
    "name", [b"plain.png", "ü 🚗.png".encode(), b"dr\xe4ve.png", b"a: b %02d.png"], ids=ascii
)
def test_pictures_go_to_files_of_any_name(tmp_path, name):
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    path = tmp_path / os.fsdecode(name)
    write_png(path, picture)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert np.array_equal(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR), picture)
