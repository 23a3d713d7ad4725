# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a pass over a recording is asked for, and what is refused."""

import pytest
from bags_helpers import write_bag
from rosbags.rosbag2 import StoragePlugin

from dcfm_ros.bags.options import STORAGE_IDS, BagEvaluateOptions, bag_name
from dcfm_ros.pipeline.settings import THRESHOLDS, AksScore, Alignment


def test_a_recording_is_called_as_its_folder_or_file(tmp_path):
    path = write_bag(tmp_path / "drive.1", 1)
    assert bag_name(path) == bag_name(f"{path}/") == "drive.1"
    assert bag_name(path / "drive.1.mcap") == "drive.1"
    assert BagEvaluateOptions(str(path)).folder.name == "drive.1"


@pytest.mark.parametrize(
    "changes, text",
    [
        (
            dict(mode="async"),
            "mode 'async': use sync or two_sided; to see mode async play the recording to the live node",
        ),
        (dict(min_interval=5, max_interval=4), "max_interval 4: use min_interval"),
        (
            dict(alignment="none", aks_score="residual"),
            "aks_score residual with alignment none: it needs the motion estimate of alignment flow",
        ),
    ],
)
def test_options_that_cannot_be_used(changes, text):
    with pytest.raises(ValueError, match=text):
        BagEvaluateOptions("drive", **changes)


@pytest.mark.parametrize(
    "alignment, aks_score, threshold, score",
    [
        ("flow", "auto", 0, AksScore.RESIDUAL),
        ("none", "auto", 0, AksScore.PAPER),
        ("flow", "paper", 0, AksScore.PAPER),
        ("flow", "residual", 0.25, AksScore.RESIDUAL),
        ("none", "paper", 0.25, AksScore.PAPER),
    ],
)
def test_the_configuration_has_a_definite_score_and_threshold(alignment, aks_score, threshold, score):
    config = BagEvaluateOptions("drive", alignment=alignment, aks_score=aks_score, threshold=threshold).config
    assert config.alignment is Alignment(alignment) and config.scheduler.aks_score is score
    assert config.scheduler.threshold == (threshold or THRESHOLDS[score])


def test_by_default_common_features_move():
    assert (
        BagEvaluateOptions("drive").config
        == BagEvaluateOptions("drive", alignment="flow", aks_score="residual").config
    )


def test_the_storages_are_those_of_the_library():
    """It is slow to load, so that options do not ask it."""
    assert tuple(plugin.name.lower() for plugin in StoragePlugin) == STORAGE_IDS
