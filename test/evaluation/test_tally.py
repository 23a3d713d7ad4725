# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tallies of runs over recordings: the windows of the offline protocol, ages, and that merging is one run
over all."""

import pickle

import numpy as np
import pytest

from dcfm_ros.evaluation.schedule import CAUSAL, Schedule
from dcfm_ros.evaluation.tally import CameraTally, Tally, tally_report
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.metrics.consistency import consistency_windows

CLASSES, SIZE = 3, (6, 8)
NAMES = ("a", "b", "c")


def tally():
    return Tally("DCFM", Schedule(CAUSAL, threshold=0.3), CLASSES)


def frames(count, seed=0):
    """(image, mask, label) of a video in which little changes."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    mask, label = (random.integers(0, CLASSES, SIZE).astype(np.uint8) for _ in range(2))
    made = []
    for _ in range(count):
        mask, label = (
            np.where(random.random(SIZE) < 0.04, random.integers(0, CLASSES, SIZE), m).astype(np.uint8)
            for m in (mask, label)
        )
        made.append((image, mask, label))
    return made


def run(into, video, sequence=0, labels=True, camera=None):
    camera = camera or CameraTally(into)
    for number, (image, mask, label) in enumerate(video):
        camera.add(
            image,
            mask,
            label if labels is True or number in (labels or ()) else None,
            sequence,
            number % 4 == 0,
            number % 4,
            number % 4 * 100,
        )
    return camera


@pytest.mark.parametrize("length", [7, 8, 9, 30])
def test_windows_are_those_of_the_published_numbers(length):
    made, video = tally(), frames(length)
    run(made, video)
    for n in (8, 16):
        expected = consistency_windows([mask for _, mask, _ in video], [label for _, _, label in video], n)
        assert made.score.windows[n] == list(expected)


def test_windows_are_of_consecutive_labelled_frames_of_one_sequence():
    made, video = tally(), frames(40)
    camera = run(made, video[:20], labels=set(range(20)) - {10})
    run(made, video[20:], sequence=1, camera=camera)
    parts = [video[:10], video[11:20], video[20:]]
    expected = [
        share
        for part in parts
        for share in consistency_windows([mask for _, mask, _ in part], [label for _, _, label in part], 8)
    ]
    assert made.score.windows[8] == expected and len(expected) == 2 + 1 + 12
    assert made.labelled == 39 and made.score.frames == 40


def test_accuracy_is_of_keyframes_of_others_and_by_age():
    made, video = tally(), frames(12)
    run(made, video)
    for age in range(4):
        counts = ConfusionMatrix(CLASSES)
        for _, mask, label in video[age::4]:
            counts.add(mask, label)
        np.testing.assert_array_equal(made.by_age[age].counts, counts.counts)
    np.testing.assert_array_equal(made.score.on_keyframes.counts, made.by_age[0].counts)
    np.testing.assert_array_equal(
        made.score.matrix.counts, sum(matrix.counts for matrix in made.by_age.values())
    )
    report = tally_report(made, NAMES)
    assert report["feature_age_frames"] == {"mean": 1.5, "max": 3} and report["keyframe_rate"] == 0.25
    assert list(report["miou_by_age"]) == ["0", "1", "2", "3"]


def test_the_returned_counts_are_of_the_frame_alone():
    made = tally()
    (image, mask, label), second = frames(2)
    camera = CameraTally(made)
    flicker, counts = camera.add(image, mask, label, 0, True, 0, 0)
    assert flicker is None and counts.counts.sum() == label.size
    assert camera.add(*second[:2], None, 0, False, 1, 100)[1] is None
    assert counts.counts.sum() == label.size  # nothing was added to it


def test_merging_is_one_run_over_all():
    videos, together, parts = [frames(20, seed) for seed in range(3)], tally(), []
    everything = CameraTally(together)
    for number, video in enumerate(videos):
        parts.append(tally())
        run(parts[-1], video, labels=set(range(5, 20)))
        run(together, video, sequence=number, labels=set(range(5, 20)), camera=everything)
        for one in (parts[-1], together):
            one.keyframe("deviation", 3 + number)
            one.keyframe("first", 0)
            one.moved("flow", 2.5 + number)
            one.moved("none", 0.0)
            one.compare(video[0][1], video[-1][1])
    for part in parts[1:]:
        parts[0].merge(pickle.loads(pickle.dumps(part)))  # as they come from other processes
    assert tally_report(parts[0], NAMES) == tally_report(together, NAMES)
    report = tally_report(together, NAMES)
    assert report["mean_keyframe_interval"] == 4.0 and report["keyframe_reasons"] == {
        "deviation": 3,
        "first": 3,
    }
    assert 0 < report["agreement"] < 1 and 0 < report["flicker"] < 1
    # of those that have moved
    assert report["alignments"] == {"flow": 3, "none": 3} and report["motion_px"] == 3.5


def test_nothing_seen_gives_no_figures():
    report = tally_report(tally(), NAMES)
    assert report["frames"] == 0
    for name in ("miou", "mvc8", "steady8", "flicker", "agreement", "mean_keyframe_interval"):
        assert report[name] is None
    assert report["feature_age_s"] == {"mean": None, "max": None}
    assert report["alignments"] == {} and report["motion_px"] is None
