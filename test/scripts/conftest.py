# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A data set named like CamVid."""

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def camvid(tmp_path_factory):
    """A data set named like CamVid: 4 stills to train on, 3 frames of a video for evaluation."""
    root, rng = tmp_path_factory.mktemp("camvid"), np.random.default_rng(0)
    for split, names in (
        ("train", ("0001TP_006690", "0001TP_006720", "0006R0_f00930", "Seq05VD_f00000")),
        ("val", ("0016E5_07959", "0016E5_07961", "0016E5_07963")),
    ):
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for name in names:
            label = rng.integers(0, 11, (6, 8), np.uint8).repeat(16, 0).repeat(16, 1)
            cv2.imwrite(str(root / split / "labels" / f"{name}.png"), label)
            cv2.imwrite(
                str(root / split / "images" / f"{name}.jpg"), cv2.merge([20 * label, 255 - 20 * label, label])
            )
    return root
