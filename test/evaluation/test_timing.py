# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames per second from measured times."""

import pytest
from evaluation_helpers import CLASSES, SIZE, NotingBackend, make_clip

from dcfm_ros.evaluation import moved_logits
from dcfm_ros.evaluation.timing import PATHS, REPEATS, ROUNDS, frames_per_second, measure
from dcfm_ros.motion.flow import DenseInverseSearch

MEANS = {
    "keyframe": 100.0,
    "nonkey": 20.0,
    "nonkey_two_sided": 30.0,
    "nonkey_aligned": 25.0,
    "nonkey_aligned_two_sided": 40.0,
    "moved_logits": 5.0,
    "moved_logits_two_sided": 10.0,
}
TIMES = {path: {"published_mean": mean, "user_mean": 2 * mean} for path, mean in MEANS.items()}
# of six repeats: a round that is not counted; a run to settle in each
RUNS = (ROUNDS + 1) * (1 + 6 // ROUNDS)


@pytest.mark.parametrize(
    "mode, alignment, rate, wanted",
    [
        ("causal", "none", 1.0, 10.0),
        ("causal", "none", 0.25, 1000 / 40),
        ("async", "none", 0.25, 1000 / 40),
        ("two_sided", "none", 0.5, 1000 / 65),
        ("two_sided", "none", 1.0, 10.0),
        ("per_frame", "none", 1.0, 10.0),
        ("causal", "flow", 0.2, 1000 / 40),
        ("async", "flow", 0.2, 1000 / 40),
        ("two_sided", "flow", 0.5, 1000 / 70),
        ("causal", "logits", 0.2, 1000 / 24),
        ("two_sided", "logits", 0.5, 1000 / 55),
        ("two_sided", "logits", 1.0, 10.0),
    ],
)
def test_frames_per_second_follow_from_the_keyframe_rate(mode, alignment, rate, wanted):
    assert frames_per_second(TIMES, mode, rate, "published", alignment) == pytest.approx(wanted)
    assert frames_per_second(TIMES, mode, rate, "user", alignment) == pytest.approx(wanted / 2)
    if alignment == "none":
        assert frames_per_second(TIMES, mode, rate, "user") == pytest.approx(wanted / 2)


def measured(*paths, repeats=6):
    """(times, backend)"""
    backend = NotingBackend(CLASSES)
    return measure(backend, make_clip(1, size=(90, 120)).images[0], SIZE, (90, 120), paths, repeats), backend


def test_each_path_does_its_own_work():
    times, backend = measured(*PATHS)
    assert len(backend.shallows) == 1 + 5 * RUNS and len(backend.deeps) == 1 + RUNS
    counts = [len(keyframes) for _, keyframes in backend.decoded]
    # taken in turn
    assert (counts.count(1), counts.count(2)) == (1 + 3 * RUNS, 2 * RUNS) and counts != sorted(counts)
    assert REPEATS % ROUNDS == 0
    assert list(times) == list(PATHS) and set(times) == set(MEANS)
    for values in times.values():
        assert set(values) == {
            f"{way}_{what}" for way in ("published", "user") for what in ("mean", "median", "p99")
        }
        assert all(value > 0 for value in values.values())
        for way in ("published", "user"):
            assert values[f"{way}_median"] <= values[f"{way}_p99"]


@pytest.mark.parametrize(
    "path, shallows, deeps, moved, flows, sampled",
    [
        ("keyframe", 1, 1, 0, 0, 0),
        ("nonkey", 1, 0, 0, 0, 0),
        ("nonkey_two_sided", 1, 0, 0, 0, 0),
        ("nonkey_aligned", 1, 0, 1, 1, 0),
        ("nonkey_aligned_two_sided", 1, 0, 2, 2, 0),
        ("moved_logits", 0, 0, 0, 1, 1),
        ("moved_logits_two_sided", 0, 0, 0, 2, 2),
    ],
)
def test_a_path_runs_what_it_says_and_no_more(monkeypatch, path, shallows, deeps, moved, flows, sampled):
    """In a run: both networks, common features moved, flow between pictures (not of the first), and logits
    moved."""
    counts, flow, sample = {"flow": 0, "sampled": 0}, DenseInverseSearch.flow, moved_logits.sampled

    def counted(name, function, *arguments):
        counts[name] += 1
        return function(*arguments)

    monkeypatch.setattr(DenseInverseSearch, "flow", lambda *arguments: counted("flow", flow, *arguments))
    monkeypatch.setattr(moved_logits, "sampled", lambda *arguments: counted("sampled", sample, *arguments))
    _, backend = measured(path)
    assert (len(backend.shallows), len(backend.deeps)) == (1 + shallows * RUNS, 1 + deeps * RUNS)
    assert len(backend.decoded) == 1 + shallows * RUNS
    assert sum(map(len, backend.moved)) == moved * RUNS
    assert counts == {"flow": flows * (RUNS - 1), "sampled": sampled * RUNS}


def test_only_the_paths_asked_for_are_measured():
    assert set(measured("keyframe", repeats=3)[0]) == {"keyframe"}
