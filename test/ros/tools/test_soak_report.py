# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a live run under load."""

import json

import numpy as np
import pytest

from dcfm_ros.ros.tools.soak_report import (
    CameraRecord,
    ProcessRecord,
    camera_report,
    process_report,
    soak_table,
)

PERIOD_NS = 40_000_000
FRAMES = 3000  # two minutes


def sent(frames=FRAMES):
    return {1_000 + number: 5_000_000_000 + number * PERIOD_NS for number in range(frames)}


def record(images, latency_ms, without=(), **status):
    """Every image of `images` comes back after latency_ms(its number), but for those whose numbers are in
    `without`."""
    made = CameraRecord()
    for number, (stamp, at) in enumerate(images.items()):
        if number not in without:
            made.mask(stamp, at + round(1e6 * latency_ms(number)))
            made.info(
                {
                    "feature_age_frames": number % 5,
                    "feature_age_s": 0.04 * (number % 5),
                    "preprocess_ms": 1.0,
                    "motion_ms": 0.5,
                    "shallow_ms": 4.0,
                    "postprocess_ms": 2.0,
                    "latency_ms": 8.0,
                }
            )
    made.status = {
        "received": str(len(images) - len(without)),
        "keyframes": "240",
        **{name: str(v) for name, v in status.items()},
    }
    return made


def test_every_frame_is_accounted_for():
    images = sent()
    made = record(
        images, lambda n: 10.0, without=range(10, 17), lost=4, dropped=3, failures=1, refused_size=2
    )
    report = camera_report(made, images)
    assert report["sent"] == FRAMES and report["masks"] == FRAMES - 7 and report["missing"] == 7
    # 7 never arrived, of which DDS says that it lost 4
    assert report["lost_by_dds"] == 4 and report["not_taken"] == 3
    assert (report["dropped"], report["failures"], report["refused"]) == (3, 1, 2)
    assert report["mask_share"] == pytest.approx((FRAMES - 7) / FRAMES, abs=1e-4)
    assert report["keyframe_hz"] == pytest.approx(2.0, rel=0.01)
    assert report["feature_age_frames"] == 4 and report["feature_age_s"] == pytest.approx(0.16)
    assert report["outside_ms"] == 2.0


def test_latencies_of_the_warm_up_do_not_count_and_minutes_show_them():
    images = sent()
    report = camera_report(record(images, lambda n: 500.0 if n < 250 else 20.0), images)  # 10 of 120 s
    assert report["latency_ms"] == {"p50": 20.0, "p95": 20.0, "p99": 20.0, "max": 20.0}
    assert report["p99_by_minute_ms"] == [500.0, 20.0] and report["p99_drift"] == 0.0


def test_frames_before_the_first_mask_are_not_missing_and_the_warm_up_begins_with_it():
    images = sent()
    # 10 s without masks, 6 s of late ones
    made = record(images, lambda n: 500.0 if n < 400 else 20.0, without=range(250))
    report = camera_report(made, images)
    assert report["seconds_to_first_mask"] == 10.0 and report["missing"] == 0 and report["mask_share"] < 1.0
    assert report["latency_ms"]["max"] == 20.0  # 12 s of warm-up, which end 6 s after the last late mask
    assert json.loads(json.dumps(report)) == report


def test_drift_is_the_last_third_against_the_first():
    images = sent()
    report = camera_report(record(images, lambda n: 10.0 + 10.0 * n / FRAMES), images)
    assert 0.3 < report["p99_drift"] < 0.6
    assert (
        camera_report(record(dict(list(images.items())[:100]), lambda n: 10.0), images)["p99_drift"] is None
    )


def test_nothing_came_back():
    report = camera_report(CameraRecord(), sent(10))
    assert (
        report["masks"] == 0 and report["missing"] == report["not_taken"] == 10 and report["lost_by_dds"] == 0
    )
    assert report["latency_ms"]["p99"] is None
    assert report["outside_ms"] is None


def test_memory_grows_after_the_warm_up_only():
    flat, leaking = ProcessRecord(), ProcessRecord()
    for second in range(600):
        flat.add(second, 5e8 if second < 40 else 8e8, 0.5 * second)  # warm-up: 60 s
        leaking.add(second, 8e8 + 1e5 * second, 0.5 * second)
    assert process_report(flat, 9000) == {
        "resident_mb": round(8e8 / 2**20, 1),
        "growth": 0.0,
        "cpu_ms_per_frame": pytest.approx(33.3, abs=0.1),
        "cpu_share": 0.5,
    }
    assert process_report(leaking, 9000)["growth"] == pytest.approx(1e5 * 539 / (8e8 + 1e5 * 329.5), rel=1e-3)
    assert process_report(ProcessRecord(), 0)["growth"] is None


def test_table_says_it_in_words():
    images = sent()
    process = ProcessRecord()
    for second in range(120):
        process.add(second, 8e8, 0.4 * second)
    text = soak_table(
        {
            "model": "street11_b0",
            "backend": "openvino on cpu (f32)",
            "mode": "async",
            "cpu": "a processor, 2 cores",
            "camera": "360x480",
            "encoding": "bgr8",
            "rate_hz": 25.0,
            "seconds": 120.0,
            "receive_ms_per_frame": 0.5,
            "cameras": {
                "": camera_report(record(images, lambda n: 10.0, without=(5,), lost=1, dropped=2), images)
            },
            "processes": {"segmenter": process_report(process, FRAMES)},
        }
    )
    assert "3000 sent, 1 lost by DDS, 0 not taken in time, 2 dropped by the segmenter" in text
    assert "2999, the first of a frame after 0.0 s; 1 missing since then" in text and "p99 10.0 ms" in text
    assert "+0.0 % after warm-up" in text and not np.isnan(report_number(text))


def report_number(text):
    return float(text.split("the thread that receives: ")[1].split()[0])
