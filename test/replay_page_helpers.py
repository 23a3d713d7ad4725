# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of the report page share: a report with every figure, a timeline, and moments."""

from __future__ import annotations

import numpy as np

from dcfm_ros.reports.page.data import Moment, TimelinePoint
from dcfm_ros.reports.page.figures import STAGES
from dcfm_ros.reports.page.moments import KINDS

START_NS = 1_700_000_000 * 10**9
PALETTE = [("road", (128, 64, 128)), ("sky", (70, 130, 180)), ("car", (0, 0, 142))]


def row(name="DCFM", **changes):
    return {
        "name": name,
        "frames": 1234,
        "keyframes": 247,
        "keyframe_rate": 0.2,
        "mean_keyframe_interval": 5.0,
        "keyframe_reasons": {"deviation": 200, "first": 1, "interval": 46},
        "alignments": {"flow": 911, "still": 70, "none": 253},
        "motion_px": 12.34,
        "feature_age_frames": {"mean": 2.5, "max": 9},
        "feature_age_s": {"mean": 0.17, "max": 0.6},
        "steady8": 0.971,
        "flicker": 0.00412,
        "agreement": 0.962,
        "labelled_frames": 80,
        "miou": 0.5841,
        "miou_all": 0.55,
        "wiou": 0.7,
        "pixel_accuracy": 0.9,
        "mvc8": 0.91,
        "mvc16": 0.88,
        "miou_keyframes": 0.6,
        "miou_other_frames": 0.58,
        "per_class_iou": {"road": 0.9, "sky": 0.8, "car": None},
        **changes,
    }


def report(**changes):
    """All that a page can show of an evaluation with labels."""
    return {
        "bag": {"path": "/drives/city_loop", "duration_s": 20.0, "start_ns": START_NS},
        "model": {
            "name": "street11_b0",
            "architecture": "dcfm",
            "backbone": "mit_b0",
            "input": [360, 480],
            "weights_sha256": "ab" * 32,
            "backend": "openvino",
            "device": "cpu",
            "precision": "f32",
        },
        "mode": "sync",
        "scheduler": {
            "alignment": "flow",
            "aks_score": "residual",
            "min_interval": 2,
            "max_interval": 10,
            "threshold": 0.18,
            "cut_threshold": 0.6,
        },
        "cameras": [
            {
                "camera": "",
                "topic": "/camera/image_raw",
                "sizes": [[480, 360]],
                "images": 1237,
                "masks": 1234,
                "rate_hz": 15.0,
                "skipped": {"corrupt": 3},
                "skipped_examples": ["image at 1.5: JPEG ends early"],
                "resets": 1,
                "out_of_order": 0,
                "equal_stamps": 0,
                "labelled": 80,
            }
        ],
        "rows": [
            row(),
            row(
                "per frame", agreement=None, keyframes=1234, keyframe_rate=1.0, alignments={}, motion_px=None
            ),
        ],
        "times_ms": {stage: {"p50": 8.0, "p99": 11.0} for stage, _ in STAGES},
        "frames_per_s": 61.4,
        "notes": ["the last chunk is broken", "80 of 1234 masks have a label"],
        "options": {"topics": [], "labels": ["/labels"]},
        "versions": {"python": "3.11"},
        "machine": {"cpu": "a processor", "gpu": None},
        **changes,
    }


def points(count=150, camera="", **changes):
    """A mask each 0.1 s; every fifth is a keyframe."""
    return [
        TimelinePoint(
            **{
                "camera": camera,
                "stamp_ns": START_NS + number * 10**8,
                "time_s": number / 10,
                "score": 0.07 * (number % 5),
                "is_keyframe": number % 5 == 0,
                "reason": ("deviation" if number else "first") if number % 5 == 0 else None,
                "age_frames": number % 5,
                "age_s": 0.1 * (number % 5),
                "latency_ms": 12.0,
                "flicker": 0.001 * (number % 7) if number > 3 else None,
                "miou": 0.5 if number % 3 == 0 else None,
                **changes,
            }
        )
        for number in range(count)
    ]


def moments(size=(36, 108)):
    return [
        Moment(
            kind,
            "",
            START_NS + number * 10**9,
            float(number),
            0.4 + number / 10,
            np.full((*size, 3), (200, 60, 20 * number), np.uint8),
        )
        for number, kind in enumerate(kind for kind in KINDS for _ in range(2))
    ]
