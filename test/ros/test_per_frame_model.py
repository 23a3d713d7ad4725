# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A per-frame model in the node, over DDS: every mask is the network's own of that image, whatever the
keyframe settings."""

import numpy as np
import pytest
from helpers import own_mask, tiny_model
from ros_helpers import Camera, check_mask, pixels

from dcfm_ros.model.folder import load_model, save_model

CLASSES = 4


@pytest.fixture
def folder(tmp_path):
    """Create a tiny per-frame model that finds several classes in the tests' pictures."""
    return save_model(tmp_path / "per_frame", tiny_model(CLASSES, seed=4, architecture="per_frame"))


def test_masks_are_the_models_own(segmenter, probe, folder):
    segmenter.start(model=str(folder), mode="async", min_interval=2, max_interval=1000)
    camera, model, seen = Camera(probe).connect(), load_model(folder), set()
    for seed in range(5):
        sent = camera.send(seed=seed)
        mask, info = camera.answer(sent)
        check_mask(mask, sent, 96, 64, CLASSES)
        rgb = np.frombuffer(sent.data, np.uint8).reshape(64, 96, 3)[..., ::-1]
        wanted = own_mask(model, rgb)
        assert np.mean(pixels(mask) != wanted) <= 1e-3  # rounding may decide where two classes are alike
        assert info.is_keyframe and info.feature_age_frames == 0 and info.feature_stamp == sent.header.stamp
        seen.add(wanted.tobytes())
    assert len(seen) == 5 and all(len(set(mask)) > 1 for mask in seen)  # masks that tell the images apart
