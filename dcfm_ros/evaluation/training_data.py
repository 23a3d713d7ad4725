# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training data that show what a model is evaluated on: its figures are then better than elsewhere; the
report says so."""

from __future__ import annotations

from dcfm_ros.model.model_yaml import training_record
from dcfm_ros.sources.clips import ClipSet

# CamVid's val sequence is a stretch of this drive; as many frames of the train split are of it, too.
CAMVID_DRIVE, CAMVID_FRAMES = "0016E5", 204


def related_data(name: str, clip_set: ClipSet) -> list[str]:
    """Notes on the data that `model.yaml` says model `name` was trained on. What it does not name is not
    known."""
    if clip_set.name != "camvid val" or not any(
        clip.name.startswith(CAMVID_DRIVE) for clip in clip_set.clips
    ):
        return []
    if not any(_shows_the_drive(data) for data in _trained_on(name)):
        return []
    return [
        f"model {name} was trained on CamVid's train split: {CAMVID_FRAMES} of the training frames are of "
        f"the drive {CAMVID_DRIVE} that val shows"
    ]


def _trained_on(name: str) -> list[str]:
    """Names of the data sets in a model's training record."""
    data = training_record(name).get("data")
    entries = data if isinstance(data, list) else []
    return [str(entry.get("name", "")) if isinstance(entry, dict) else str(entry) for entry in entries]


def _shows_the_drive(data: str) -> bool:
    """Of a name such as `camvid train` or `camvid train without 0016E5`: what is left out is how clips' names
    begin."""
    name, _, left_out = data.partition(" without ")
    return (
        name.lower().startswith("camvid")
        and "train" in name
        and not (left_out and CAMVID_DRIVE.startswith(left_out))
    )
