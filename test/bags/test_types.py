# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our message definitions as recordings have them, which are read from `msg/`."""

import re
from pathlib import Path

import pytest
from rosbags.typesys import get_types_from_msg

from dcfm_ros.bags.types import KEYFRAME, MASK_INFO, PALETTE, typestore
from dcfm_ros.motion.track import MotionKind
from dcfm_ros.pipeline.frames import Mode, Reason

FILES = sorted((Path(__file__).parents[2] / "msg").glob("*.msg"))


@pytest.mark.parametrize(
    "msgtype, kinds",
    [(MASK_INFO, {"MODE_": Mode, "ALIGNMENT_": MotionKind}), (KEYFRAME, {"REASON_": Reason})],
    ids=["MaskInfo", "KeyframeEvent"],
)
def test_constants_are_the_enums(msgtype, kinds):
    constants = {name: value for name, value_type, value in typestore().fielddefs[msgtype][0]}
    assert constants == {
        prefix + member.name: member.value for prefix, kind in kinds.items() for member in kind
    }
    message = typestore().types[msgtype]
    assert {name: getattr(message, name) for name in constants} == constants


@pytest.mark.parametrize("msgtype", [MASK_INFO, KEYFRAME, PALETTE])
def test_embedded_definitions_have_fields_and_constants(msgtype):
    definition, _ = typestore().generate_msgdef(msgtype, ros_version=2)
    assert get_types_from_msg(definition, msgtype)[msgtype] == typestore().fielddefs[msgtype]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_field_is_explained_above_it(file):
    """A comment behind a field is lost where tools show the message within another one; the unit is in the
    field's name."""
    lines = file.read_text().splitlines()
    assert lines[0].startswith("# ") and lines[1] == ""
    for above, line in zip(lines, lines[1:]):
        if line and not line.startswith("#"):
            assert above.startswith("# ") and re.fullmatch(r'[\w/]+(\[\])? \w+(="\w+")?', line), line
