# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds in messages, milliseconds elsewhere, and nothing lost between the two."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dcfm_ros.motion.track import MotionKind
from dcfm_ros.pipeline.frames import Frame, KeyframeEvent, Mode, Reason, Segmentation
from dcfm_ros.pipeline.message_fields import (
    KEYFRAME,
    MASK_INFO,
    keyframe_fields,
    mask_info_fields,
    read_keyframe,
    read_mask_info,
)

FRAME = Frame("front", 7, np.zeros((2, 2, 3), np.uint8))


def test_a_mask():
    result = Segmentation(
        FRAME,
        FRAME.image[..., 0],
        None,
        None,
        index=9,
        is_keyframe=True,
        mode=Mode.TWO_SIDED,
        feature_stamp_ns=5,
        feature_age_frames=3,
        feature_age_s=0.25,
        alignment=MotionKind.STILL,
        motion_px=1.5,
        score=0.5,
        dropped=2,
        preprocess_ms=1.0,
        motion_ms=0.5,
        shallow_ms=20.0,
        postprocess_ms=300.0,
        latency_ms=4000.0,
    )
    fields = mask_info_fields(result)
    told = {
        "is_keyframe": True,
        "mode": "two_sided",
        "feature_age_frames": 3,
        "feature_age_s": 0.25,
        "alignment": "still",
        "motion_px": 1.5,
        "score": 0.5,
        "dropped_since_last": 2,
    }
    assert fields == {
        **told,
        "camera": "front",
        "preprocess_s": 0.001,
        "motion_s": 0.0005,
        "shallow_s": 0.02,
        "postprocess_s": 0.3,
        "latency_s": 4.0,
    }
    assert read_mask_info(SimpleNamespace(**fields)) == pytest.approx(
        {
            **told,
            "preprocess_ms": 1.0,
            "motion_ms": 0.5,
            "shallow_ms": 20.0,
            "postprocess_ms": 300.0,
            "latency_ms": 4000.0,
        }
    )


def test_a_keyframe():
    fields = keyframe_fields(
        KeyframeEvent(FRAME, 9, Reason.DEVIATION, 0.5, interval_frames=4, queue_ms=2.0, encode_ms=60.0)
    )
    told = {"reason": "deviation", "score": 0.5, "interval_frames": 4}
    assert fields == {**told, "camera": "front", "queue_s": 0.002, "encode_s": 0.06}
    assert read_keyframe(SimpleNamespace(**fields)) == pytest.approx(
        {**told, "queue_ms": 2.0, "encode_ms": 60.0}
    )


@pytest.mark.parametrize(
    "message, fields, others",
    [
        ("MaskInfo", MASK_INFO, {"header", "sequence", "feature_stamp"}),
        ("KeyframeEvent", KEYFRAME, {"header"}),
    ],
)
def test_the_fields_are_those_of_the_definition(message, fields, others):
    text = (Path(__file__).parents[2] / "msg" / f"{message}.msg").read_text()
    defined = set(re.findall(r"^[\w/]+ (\w+)$", text, re.MULTILINE))
    assert {field.message for field in fields} | others == defined
