# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a pass over a recording is asked for, and what is refused."""
import pytest
from bags_helpers import write_bag

from dcfm_ros.bags.options import BagEvaluateOptions, bag_name


def test_a_recording_is_called_as_its_folder_or_file(tmp_path):
    path = write_bag(tmp_path / "drive.1", 1)
    assert bag_name(path) == bag_name(f"{path}/") == "drive.1"
    assert bag_name(path / "drive.1.mcap") == "drive.1"
    assert BagEvaluateOptions(str(path)).folder.name == "drive.1"


@pytest.mark.parametrize("changes, text", [
    (dict(mode="async"), "mode 'async': use sync or two_sided; to see mode async play the recording to the live node"),
    (dict(video_s=-1), "video_s -1: use 0 to 3600 seconds"),
    (dict(min_interval=0), "min_interval 0: use 1 to 1000 frames"),
    (dict(threshold=0), "threshold 0: use a value above 0"),
])
def test_options_that_cannot_be_used(changes, text):
    with pytest.raises(ValueError, match=text):
        BagEvaluateOptions("drive", **changes)
