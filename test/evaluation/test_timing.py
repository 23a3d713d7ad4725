# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames per second from measured times."""
import pytest
from evaluation_helpers import CLASSES, SIZE, NotingBackend, make_clip

from dcfm_ros.evaluation.timing import REPEATS, ROUNDS, frames_per_second, measure

TIMES = {path: {"published_mean": mean, "user_mean": 2 * mean}
         for path, mean in (("keyframe", 100.0), ("nonkey", 20.0), ("nonkey_two_sided", 30.0))}


@pytest.mark.parametrize("mode, rate, wanted", [
    ("causal", 1.0, 10.0), ("causal", 0.25, 1000 / 40), ("async", 0.25, 1000 / 40), ("two_sided", 0.5, 1000 / 65),
    ("two_sided", 1.0, 10.0), ("per_frame", 1.0, 10.0)])
def test_frames_per_second_follow_from_the_keyframe_rate(mode, rate, wanted):
    assert frames_per_second(TIMES, mode, rate, "published") == pytest.approx(wanted)
    assert frames_per_second(TIMES, mode, rate, "user") == pytest.approx(wanted / 2)


def test_each_path_does_its_own_work():
    backend = NotingBackend(CLASSES)
    times = measure(backend, make_clip(1, size=(90, 120)).images[0], SIZE, (90, 120), repeats=6)
    runs = (ROUNDS + 1) * (1 + 6 // ROUNDS)   # a round that is not counted; a run to settle in each
    assert len(backend.shallows) == 1 + 3 * runs and len(backend.deeps) == 1 + runs
    counts = [len(keyframes) for _, keyframes in backend.decoded]
    assert (counts.count(1), counts.count(2)) == (2 * runs, runs) and counts != sorted(counts)   # taken in turn
    assert REPEATS % ROUNDS == 0
    assert set(times) == {"keyframe", "nonkey", "nonkey_two_sided"}
    for values in times.values():
        assert set(values) == {"published_mean", "published_median", "user_mean", "user_median"}
        assert all(value > 0 for value in values.values())


def test_only_the_paths_asked_for_are_measured():
    backend = NotingBackend(CLASSES)
    assert set(measure(backend, make_clip(1).images[0], SIZE, SIZE, ("keyframe",), repeats=3)) == {"keyframe"}
