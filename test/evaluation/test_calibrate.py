# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm calibrate`: the threshold it finds gives the rate it says, with the live scheduler."""
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from evaluation_helpers import SIZE, MemoryClip, make_clip
from helpers import write_tiny_model

from dcfm_ros.cli import main
from dcfm_ros.evaluation.calibrate import CalibrateOptions, calibration_table, find_threshold
from dcfm_ros.evaluation.video_writer import VideoWriter
from dcfm_ros.pipeline.scheduler import KeyframeScheduler, deviation
from dcfm_ros.pipeline.settings import SchedulerConfig

CONFIG = SchedulerConfig(min_interval=2, max_interval=10)


def calm_clip(length, seed):
    """A picture that drifts, now fast, now slowly, and so little from frame to frame that there are no hard cuts."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.integers(60, 200, (3, 60, 3), dtype=np.uint8), (60 * 60, SIZE[0]), interpolation=cv2.INTER_CUBIC)
    at = np.cumsum(2 + 12 * np.abs(np.sin(np.arange(length) / 9)) * rng.random(length)).astype(int)
    return MemoryClip([np.ascontiguousarray(wide[:, x:x + SIZE[1]]) for x in at], {})


def keyframes_after_the_first(clip, threshold, config=CONFIG):
    scheduler = KeyframeScheduler(replace(config, threshold=threshold))
    return sum(scheduler.evaluate_and_start(clip.image(index), index).reason is not None for index in range(clip.length)) - 1


def rate(clips, threshold):
    return sum(keyframes_after_the_first(clip, threshold) for clip in clips) / sum((c.length - 1) / c.rate_hz for c in clips)


@pytest.fixture(scope="module")
def clips():
    return [calm_clip(61, 1), calm_clip(91, 2)]


@pytest.mark.parametrize("wanted", [2.0, 3.5, 5.0, 6.5])
def test_the_wanted_rate_is_hit(clips, wanted):
    report = find_threshold(clips, wanted, SIZE, CONFIG)
    assert report["keyframe_hz"] == pytest.approx(wanted, rel=0.1)
    assert report["keyframe_hz"] == pytest.approx(rate(clips, report["threshold"]), abs=1e-5)
    assert report["frames_per_keyframe"] == pytest.approx(15 / report["keyframe_hz"], rel=1e-4)


def test_the_table_tells_the_truth(clips):
    report = find_threshold(clips, 4.0, SIZE, CONFIG)
    for row in report["table"]:
        assert row["keyframe_hz"] == pytest.approx(rate(clips, row["threshold"]), abs=1e-5)
    rates = [row["keyframe_hz"] for row in report["table"]]
    assert rates[0] == pytest.approx(7.5, rel=0.01) and rates[-1] == pytest.approx(1.5, rel=0.01)


def test_medians_of_scores(clips):
    report = find_threshold(clips, 4.0, SIZE, CONFIG)
    for distance in (1, 6):
        scores = [deviation(clip.images[index], clip.images[index - distance])
                  for clip in clips for index in range(distance, clip.length)]
        assert report["score_medians"][str(distance)] == pytest.approx(np.median(scores), abs=1e-6)


def test_the_bounds_make_some_rates_impossible(clips):
    with pytest.raises(ValueError, match="keyframe_hz 9 is out of reach: min_interval 2 allows at most 7.50 keyframes/s"):
        find_threshold(clips, 9.0, SIZE, CONFIG)
    with pytest.raises(ValueError, match="keyframe_hz 1 is out of reach: max_interval 10 brings at least 1.50 keyframes/s"):
        find_threshold(clips, 1.0, SIZE, CONFIG)


def test_a_rate_at_the_bounds_is_possible(clips):
    assert find_threshold(clips, 7.5, SIZE, CONFIG)["keyframe_hz"] == pytest.approx(7.5, rel=0.02)
    assert find_threshold(clips, 1.5, SIZE, CONFIG)["keyframe_hz"] == pytest.approx(1.5, rel=0.02)


def test_a_picture_that_never_changes_takes_the_nearest_rate():
    clip = MemoryClip([np.full((*SIZE, 3), 90, np.uint8)] * 31, {})
    report = find_threshold([clip], 5.0, SIZE, CONFIG)
    assert report["keyframe_hz"] == 1.5 and report["score_medians"] == {"1": 0.0, "6": 0.0}


def test_short_clips_without_a_second_keyframe():
    clip = MemoryClip([np.full((*SIZE, 3), 90, np.uint8)] * 4, {})
    report = find_threshold([clip], 1.5, SIZE, CONFIG)
    assert report["keyframe_hz"] == 0 and report["frames_per_keyframe"] is None and report["score_medians"]["6"] is None
    text = calibration_table({**report, "data": {"name": "four frames"}, "options": {"keyframe_hz": 1.5}})
    assert "none after a clip's first frame" in text and "median score 6 frames apart: no such frames" in text


def test_hard_cuts_are_keyframes_whatever_the_threshold():
    clip = MemoryClip([np.full((*SIZE, 3), value, np.uint8) for value in [20] * 4 + [220] * 4 + [20] * 4], {})
    rates = {row["keyframe_hz"] for row in find_threshold([clip], 2.5, SIZE, CONFIG)["table"]}
    assert min(rates) == pytest.approx(15 * 2 / 11, rel=1e-4)


def test_stills_are_refused():
    with pytest.raises(ValueError, match="stills only; calibration needs consecutive frames"):
        find_threshold([make_clip(1), make_clip(1)], 4.0, SIZE, CONFIG)


@pytest.mark.parametrize("changes, message", [
    (dict(keyframe_hz=0.0), "keyframe_hz 0.0: use a number of keyframes per second above 0"),
    (dict(keyframe_hz=float("nan")), "keyframe_hz nan"),
    (dict(keyframe_hz=2.0, min_interval=0), "min_interval 0: use 1 to 1000 frames"),
])
def test_bad_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CalibrateOptions("somewhere", **changes)


def test_the_command_takes_a_video_without_labels(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    with VideoWriter(tmp_path / "drive.mp4", SIZE[1], SIZE[0], 15.0) as video:
        for image in calm_clip(61, 3).images:
            video.add(image)
    assert main(["calibrate", str(tmp_path / "drive.mp4"), "--keyframe-hz", "4", "--model", str(model),
                 "--max-interval", "12", "--json", str(tmp_path / "out.json")]) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["keyframe_hz"] == pytest.approx(4, rel=0.1) and report["scheduler"]["max_interval"] == 12
    output = capsys.readouterr().out
    assert f"threshold {report['threshold']:g}: {report['keyframe_hz']:.2f} keyframes/s" in output
    assert "(wanted 4/s)" in output


def test_the_command_names_what_is_wrong(capsys):
    assert main(["calibrate", "/no/such/place", "--keyframe-hz", "4"]) == 2
    assert "/no/such/place" in capsys.readouterr().err
