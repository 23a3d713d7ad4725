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
from dcfm_ros.evaluation.calibrate import calibration_table, find_threshold
from dcfm_ros.evaluation.options import CalibrateOptions
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.scheduler import KeyframeScheduler, deviation, residual
from dcfm_ros.pipeline.settings import AksScore, Alignment, SchedulerConfig
from dcfm_ros.reports.video_writer import VideoWriter

CONFIGS = [SchedulerConfig(min_interval=2, max_interval=10).resolved(alignment) for alignment in Alignment]


@pytest.fixture(params=CONFIGS, ids=lambda config: config.aks_score.value)
def config(request):
    """Of features that move, and of the published method."""
    return request.param


def calm_clip(length, seed):
    """A picture that drifts, now fast, now slowly, and so little from frame to frame that there are no hard
    cuts."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(
        rng.integers(60, 200, (3, 60, 3), dtype=np.uint8), (60 * 60, SIZE[0]), interpolation=cv2.INTER_CUBIC
    )
    at = np.cumsum(2 + 12 * np.abs(np.sin(np.arange(length) / 9)) * rng.random(length)).astype(int)
    return MemoryClip([np.ascontiguousarray(wide[:, x : x + SIZE[1]]) for x in at], {})


def keyframes_after_the_first(clip, threshold, config):
    """As the live pipeline decides, in mode sync."""
    scheduler, keyframes = KeyframeScheduler(replace(config, threshold=threshold)), []
    motion = MotionTrack() if config.aks_score is AksScore.RESIDUAL else None
    for index, image in enumerate(clip.images):
        if motion is not None:
            motion.add(image, index, keyframes[-1:])
        decision = scheduler.evaluate_and_start(image, index, motion)
        if decision.reason is not None:
            keyframes.append(index)
        if decision.is_cut and motion is not None:
            motion.cut()
    return len(keyframes) - 1


def rate(clips, threshold, config):
    keyframes = sum(keyframes_after_the_first(clip, threshold, config) for clip in clips)
    return keyframes / sum((clip.length - 1) / clip.rate_hz for clip in clips)


def most(config):
    """That MinK allows; but sometimes there is nothing that motion does not explain."""
    return pytest.approx(7.5, rel=0.01 if config.aks_score is AksScore.PAPER else 0.03)


@pytest.fixture(scope="module")
def clips():
    return [calm_clip(61, 1), calm_clip(91, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [2.0, 3.5, 5.0, 6.5])
def test_the_wanted_rate_is_hit(clips, wanted, config):
    report = find_threshold(clips, wanted, SIZE, config)
    assert report["keyframe_hz"] == pytest.approx(wanted, rel=0.1)
    assert report["keyframe_hz"] == pytest.approx(rate(clips, report["threshold"], config), abs=1e-5)
    assert report["frames_per_keyframe"] == pytest.approx(15 / report["keyframe_hz"], rel=1e-4)


@pytest.mark.slow
def test_the_table_tells_the_truth(clips, config):
    report = find_threshold(clips, 4.0, SIZE, config)
    for row in report["table"]:
        assert row["keyframe_hz"] == pytest.approx(rate(clips, row["threshold"], config), abs=1e-5)
    rates = [row["keyframe_hz"] for row in report["table"]]
    assert (
        rates[0] == most(config)
        and rates[-1] == pytest.approx(1.5, rel=0.01)
        and rates == sorted(rates, reverse=True)
    )


@pytest.mark.slow
def test_medians_of_differences(clips, config):
    """Of the published score they are deviations, of the other what motion does not explain of them."""
    report, differences = find_threshold(clips, 4.0, SIZE, config), {1: [], 6: []}
    moves = config.aks_score is AksScore.RESIDUAL
    for clip in clips:
        motion = MotionTrack()
        for index, image in enumerate(clip.images):
            motion.add(image, index, range(index - 6, index))
            for distance in (1, 6):
                if index >= distance:
                    differences[distance].append(
                        residual(*motion.pictures(index - distance))
                        if moves
                        else deviation(image, clip.images[index - distance])
                    )
    assert report["difference_medians"] == {
        str(distance): pytest.approx(np.median(values), abs=1e-6) for distance, values in differences.items()
    }
    assert report["scheduler"]["aks_score"] == config.aks_score and "threshold" not in report["scheduler"]


@pytest.mark.slow
def test_the_bounds_make_some_rates_impossible(clips, config):
    with pytest.raises(
        ValueError, match="keyframe_hz 9 is out of reach: min_interval 2 allows at most 7.50 keyframes/s"
    ):
        find_threshold(clips, 9.0, SIZE, config)
    with pytest.raises(
        ValueError, match="keyframe_hz 1 is out of reach: max_interval 10 brings at least 1.50 keyframes/s"
    ):
        find_threshold(clips, 1.0, SIZE, config)


@pytest.mark.slow
def test_a_rate_at_the_bounds_is_possible(clips, config):
    assert find_threshold(clips, 7.5, SIZE, config)["keyframe_hz"] == most(config)
    assert find_threshold(clips, 1.5, SIZE, config)["keyframe_hz"] == pytest.approx(1.5, rel=0.02)


def test_a_picture_that_never_changes_takes_the_nearest_rate(config):
    clip = MemoryClip([np.full((*SIZE, 3), 90, np.uint8)] * 31, {})
    report = find_threshold([clip], 5.0, SIZE, config)
    assert report["keyframe_hz"] == 1.5 and report["difference_medians"] == {"1": 0.0, "6": 0.0}


def test_short_clips_without_a_second_keyframe(config):
    clip = MemoryClip([np.full((*SIZE, 3), 90, np.uint8)] * 4, {})
    report = find_threshold([clip], 1.5, SIZE, config)
    assert (
        report["keyframe_hz"] == 0
        and report["frames_per_keyframe"] is None
        and report["difference_medians"]["6"] is None
    )
    text = calibration_table({**report, "data": {"name": "four frames"}, "options": {"keyframe_hz": 1.5}})
    assert "none after a clip's first frame" in text
    what = "residual" if config.aks_score is AksScore.RESIDUAL else "deviation"
    assert (
        f"median {what} 1 frames apart: 0.000" in text
        and f"median {what} 6 frames apart: no such frames" in text
    )


def test_hard_cuts_are_keyframes_whatever_the_threshold(config):
    clip = MemoryClip([np.full((*SIZE, 3), value, np.uint8) for value in [20] * 4 + [220] * 4 + [20] * 4], {})
    rates = {row["keyframe_hz"] for row in find_threshold([clip], 2.5, SIZE, config)["table"]}
    assert min(rates) == pytest.approx(15 * 2 / 11, rel=1e-4)


def test_stills_are_refused():
    with pytest.raises(ValueError, match="stills only; calibration needs consecutive frames"):
        find_threshold([make_clip(1), make_clip(1)], 4.0, SIZE, CONFIGS[0])


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(keyframe_hz=0.0), "keyframe_hz 0.0: use a value above 0"),
        (dict(keyframe_hz=2.0, min_interval=5, max_interval=4), "max_interval 4: use min_interval"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CalibrateOptions("somewhere", **changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, alignment, what",
    [
        ([], "flow", "residual"),
        (["--alignment", "flow"], "flow", "residual"),
        (["--alignment", "none"], "none", "deviation"),
    ],
)
def test_the_command_takes_a_video_without_labels(tmp_path, capsys, options, alignment, what):
    model = write_tiny_model(tmp_path / "model")
    with VideoWriter(tmp_path / "drive.mp4", SIZE[1], SIZE[0], 15.0) as video:
        for image in calm_clip(61, 3).images:
            video.add(image)
    assert (
        main(
            [
                "calibrate",
                str(tmp_path / "drive.mp4"),
                "--keyframe-hz",
                "4",
                "--model",
                str(model),
                "--max-interval",
                "12",
                "--json",
                str(tmp_path / "out.json"),
                *options,
            ]
        )
        == 0
    )
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["keyframe_hz"] == pytest.approx(4, rel=0.1) and report["scheduler"]["max_interval"] == 12
    output = capsys.readouterr().out
    assert f"threshold {report['threshold']:g}: {report['keyframe_hz']:.2f} keyframes/s" in output
    assert "(wanted 4/s)" in output and f"median {what} 6 frames apart: 0." in output
    assert report["options"]["alignment"] == alignment
    assert report["scheduler"]["aks_score"] == {"residual": "residual", "deviation": "paper"}[what]


def test_the_command_names_what_is_wrong(capsys):
    assert main(["calibrate", "/no/such/place", "--keyframe-hz", "4"]) == 2
    assert "/no/such/place" in capsys.readouterr().err
