# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages as ROS has built them: their constants are the pipeline's, and recordings hold the same
types."""

import json
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory

from dcfm_ros import msg
from dcfm_ros.bags.types import typestore
from dcfm_ros.pipeline.frames import Mode, Reason


@pytest.mark.parametrize(
    "message, prefix, kind", [(msg.MaskInfo, "MODE_", Mode), (msg.KeyframeEvent, "REASON_", Reason)]
)
def test_constants_are_the_enums(message, prefix, kind):
    constants = {name: getattr(message, name) for name in dir(message) if name.startswith(prefix)}
    assert constants == {prefix + member.name: member.value for member in kind}


def test_recordings_hold_the_types_of_the_live_topics():
    """Compare type hashes, as ROS does; they depend on the fields, but not on constants and
    comments."""
    built = sorted((Path(get_package_share_directory("dcfm_ros")) / "msg").glob("*.json"))
    assert {f"dcfm_ros/msg/{file.stem}" for file in built} == {
        name for name in typestore().fielddefs if name.startswith("dcfm_ros/")
    }
    for file in built:
        ours = json.loads(file.read_text())["type_hashes"][0]
        assert ours == {
            "type_name": f"dcfm_ros/msg/{file.stem}",
            "hash_string": typestore().hash_rihs01(ours["type_name"]),
        }
