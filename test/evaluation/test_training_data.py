# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notes on training data that show what is evaluated."""

import numpy as np
import pytest
from evaluation_helpers import MemoryClip
from helpers import tiny_model

from dcfm_ros.evaluation.training_data import related_data
from dcfm_ros.model.folder import save_model
from dcfm_ros.sources.classes import STREET11
from dcfm_ros.sources.clips.clip import ClipSet


def clip_set(name="camvid val", clip="0016E5_07959"):
    return ClipSet(name, STREET11, (MemoryClip([np.zeros((2, 2, 3), np.uint8)], {}, clip),), "terms")


def trained_on(tmp_path, *data):
    return str(save_model(tmp_path / "model", tiny_model(), {"data": list(data)}))


@pytest.mark.parametrize(
    "data",
    [
        {"name": "camvid train", "terms": "x"},
        {"name": "camvid train without 0001TP", "terms": "x"},
        "CamVid 480x360, train split, 367 frames",
    ],
)
def test_a_drive_that_was_trained_on_is_noted(tmp_path, data):
    model = trained_on(tmp_path, {"name": "synthetic", "terms": "x"}, data)
    assert related_data(model, clip_set()) == [
        f"model {model} was trained on CamVid's train split: 204 of the training frames are of the drive "
        "0016E5 that val shows"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "data, clips",
    [
        ({"name": "camvid train without 0016E5", "terms": "x"}, {}),
        ({"name": "camvid train without 0016", "terms": "x"}, {}),
        ({"name": "vspw train", "terms": "x"}, {}),
        (3, {}),
        ({"name": "camvid train", "terms": "x"}, {"name": "vspw val"}),
        ({"name": "camvid train", "terms": "x"}, {"clip": "0001TP_00001"}),
    ],
)
def test_other_data_are_not(tmp_path, data, clips):
    assert related_data(trained_on(tmp_path, data), clip_set(**clips)) == []


def test_a_model_without_record(tmp_path):
    assert related_data(str(save_model(tmp_path / "model", tiny_model())), clip_set()) == []


@pytest.mark.parametrize("name", ("street11", "street11_b0"))
def test_the_built_in_models_have_the_note(name):
    assert len(related_data(name, clip_set())) == 1
