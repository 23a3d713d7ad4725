# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptive keyframe scheduling, frame by frame."""

import time

import cv2
import numpy as np
import pytest
from pipeline_helpers import SIZE, paper

from dcfm_ros.model.normalisation import IMAGENET
from dcfm_ros.pipeline.frames import Reason
from dcfm_ros.pipeline.scheduler import KeyframeScheduler, averaged, deviation, is_hard_cut, is_scene_change
from dcfm_ros.pipeline.settings import SchedulerConfig


def grey(level):
    return np.full((*SIZE, 3), level, np.uint8)


def street(seed=0):
    """A picture with the brightness and the smoothness of a camera's."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 200, (8, 12, 3)).repeat(8, 0).repeat(8, 1)
    return coarse.astype(np.uint8)


def run(scheduler, images, start=0, succeed=True):
    """Decide for images; keyframes succeed at once."""
    decisions = []
    for index, image in enumerate(images, start):
        decisions.append(scheduler.evaluate_and_start(image, index))
        if succeed and decisions[-1].reason is not None:
            scheduler.succeeded(image, index)
    return decisions


def keyframes(decisions):
    return [
        (index, decision.reason) for index, decision in enumerate(decisions) if decision.reason is not None
    ]


@pytest.mark.parametrize("shape", [(64, 96), (360, 480), (33, 51)])
def test_score_is_that_of_the_normalised_inputs(shape):
    rng = np.random.default_rng(0)
    for _ in range(3):
        first, second = (rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(2))
        x, y = ((image / 255.0 - IMAGENET.mean) / IMAGENET.std for image in (first, second))
        assert deviation(first, second) == pytest.approx(np.abs(x - y).mean(), rel=1e-9)
        assert deviation(second, first) == deviation(first, second)
        assert deviation(first, first) == 0.0


def test_first_frame_is_a_keyframe():
    decision = KeyframeScheduler(paper(SchedulerConfig())).evaluate_and_start(grey(100), 17)
    assert (decision.reason, decision.score, decision.interval) == (Reason.FIRST, 0.0, 0)


@pytest.mark.parametrize("longest", [1, 2, 10])
def test_in_a_still_scene_every_max_interval_frames(longest):
    scheduler = KeyframeScheduler(paper(SchedulerConfig(min_interval=1, max_interval=longest)))
    decisions = run(scheduler, [grey(100)] * 31)
    assert keyframes(decisions)[0] == (0, Reason.FIRST)
    assert keyframes(decisions)[1:] == [(index, Reason.INTERVAL) for index in range(longest, 31, longest)]
    assert [decision.interval for decision in decisions[1 : longest + 1]] == list(range(1, longest + 1))


def test_threshold_is_reached_not_passed():
    step = deviation(grey(100), grey(130))
    for threshold, wanted in ((step, Reason.DEVIATION), (step * 1.001, None)):
        scheduler = KeyframeScheduler(paper(SchedulerConfig(min_interval=1, threshold=threshold)))
        assert run(scheduler, [grey(100), grey(130)])[1].reason is wanted


@pytest.mark.parametrize("shortest", [1, 2, 5])
def test_deviation_waits_for_min_interval(shortest):
    config = SchedulerConfig(min_interval=shortest, max_interval=20, threshold=0.1, cut_threshold=10.0)
    decisions = run(KeyframeScheduler(paper(config)), [grey(100)] + [grey(160)] * shortest)
    assert keyframes(decisions) == [(0, Reason.FIRST), (shortest, Reason.DEVIATION)]


def test_slow_change_adds_up_against_the_keyframe():
    config = SchedulerConfig(min_interval=2, max_interval=1000, threshold=0.20)
    first, last = (street(seed).astype(np.float64) for seed in (0, 1))
    shares = np.linspace(0, 1, 60)[:, None, None, None]
    decisions = run(
        KeyframeScheduler(paper(config)), (first + shares * (last - first)).round().astype(np.uint8)
    )
    found = keyframes(decisions)[1:]
    assert len(found) >= 4 and {reason for _, reason in found} == {Reason.DEVIATION}
    assert len(set(np.diff([index for index, _ in found]))) == 1
    for before, after in zip(decisions, decisions[1:]):
        assert after.score > before.score or before.reason is not None


def test_hard_cut_overrides_min_interval_on_the_cut_frame():
    config = SchedulerConfig(min_interval=10, max_interval=20)
    decisions = run(KeyframeScheduler(paper(config)), [grey(60)] * 3 + [grey(200)] * 3)
    assert keyframes(decisions) == [(0, Reason.FIRST), (3, Reason.DEVIATION)]
    assert decisions[3].score == pytest.approx(deviation(grey(60), grey(200)))


def test_hard_cut_is_a_large_change():
    picture = street()
    moved = np.roll(picture, 8, axis=1)
    change = deviation(picture, moved)
    assert is_hard_cut(picture, moved, change)
    assert not is_hard_cut(picture, picture, 0.1)


def test_light_and_noise_are_no_change_and_everything_else_is():
    picture, other = street(0), street(1)
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 10, picture.shape), 0, 255).astype(np.uint8)
    for unchanged in (picture, noisy, (picture * 0.85).astype(np.uint8), (picture * 1.2).astype(np.uint8)):
        threshold = deviation(picture, unchanged)
        assert not is_scene_change(averaged(picture), averaged(unchanged), max(threshold, 0.01))
    for changed in (
        other,
        np.roll(picture, 8, axis=1),
        (picture * 0.5).astype(np.uint8),
        (other * 0.9).astype(np.uint8),
    ):
        assert is_scene_change(averaged(picture), averaged(changed), deviation(picture, changed))


def test_hard_cut_between_dark_shots_shows_in_their_structure():
    first, second = street(1) // 3, street(2) // 3
    assert 0.2 < deviation(first, second) < 0.6
    assert is_hard_cut(first, second, 0.6)
    assert not is_hard_cut(first, np.roll(first, 1, axis=1), 0.6)  # the same shot, moved


def test_noise_in_the_dark_has_no_structure_but_is_no_cut():
    rng = np.random.default_rng(0)
    first, second = (np.clip(rng.normal(20, 5, (*SIZE, 3)), 0, 255).astype(np.uint8) for _ in range(2))
    assert not is_hard_cut(first, second, 0.6)


def test_cuts_one_after_the_other_are_all_requested():
    images = [grey(40 if number % 2 else 220) for number in range(8)]
    decisions = run(KeyframeScheduler(paper(SchedulerConfig(min_interval=10, max_interval=20))), images)
    assert all(decision.reason is not None for decision in decisions)


def test_noise_is_no_change():
    rng = np.random.default_rng(0)
    scene = street().astype(np.float64)
    noisy = [np.clip(scene + rng.normal(0, 5, scene.shape), 0, 255).astype(np.uint8) for _ in range(100)]
    found = keyframes(run(KeyframeScheduler(paper(SchedulerConfig(max_interval=1000))), noisy))
    assert found == [(0, Reason.FIRST)]


def test_flicker_of_the_light_is_no_cut():
    # At worst from a tenth darker to a tenth lighter between two frames.
    scene = street().astype(np.float64)
    flicker = [np.clip(scene * (0.9 if number % 2 else 1.1), 0, 255).astype(np.uint8) for number in range(50)]
    config = SchedulerConfig(min_interval=40, max_interval=1000)
    assert keyframes(run(KeyframeScheduler(paper(config)), flicker[:40])) == [(0, Reason.FIRST)]


def test_requested_keyframe_is_the_next_frame_and_only_that():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(min_interval=5, max_interval=10)))
    run(scheduler, [grey(100)] * 2)
    scheduler.force(Reason.REQUESTED)
    decisions = run(scheduler, [grey(100)] * 11, start=2)
    assert keyframes(decisions) == [(0, Reason.REQUESTED), (10, Reason.INTERVAL)]
    assert decisions[0].interval == 2


def test_restart_forgets_pictures_and_their_size():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(max_interval=10)))
    run(scheduler, [grey(100)] * 4)
    scheduler.restart(Reason.RESET)
    other = np.full((32, 48, 3), 240, np.uint8)
    decisions = run(scheduler, [other] * 11, start=4)
    assert keyframes(decisions) == [(0, Reason.RESET), (10, Reason.INTERVAL)]
    assert (decisions[0].score, decisions[0].interval) == (0.0, 0)


def test_failed_keyframe_does_not_count():
    scheduler = KeyframeScheduler(
        paper(SchedulerConfig(min_interval=2, max_interval=5, threshold=0.2, cut_threshold=10.0))
    )
    run(scheduler, [grey(100)] * 3)
    assert scheduler.evaluate_and_start(grey(140), 3).reason is Reason.DEVIATION
    scheduler.failed(3)
    decision = scheduler.evaluate_and_start(grey(140), 4)  # against frame 0 again: tried at once
    assert (decision.reason, decision.interval) == (Reason.DEVIATION, 4)
    assert decision.score == pytest.approx(deviation(grey(100), grey(140)))


def test_interval_after_a_failure_counts_from_the_last_good_keyframe():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(max_interval=5)))
    run(scheduler, [grey(100)] * 5)
    for index in (5, 6, 7):
        decision = scheduler.evaluate_and_start(grey(100), index)
        assert (decision.reason, decision.interval) == (Reason.INTERVAL, index)
        scheduler.failed(index)
    assert scheduler.evaluate_and_start(grey(100), 8).reason is Reason.INTERVAL
    scheduler.succeeded(grey(100), 8)
    assert scheduler.evaluate_and_start(grey(100), 9).interval == 1


def test_first_keyframe_that_fails_is_tried_again_on_the_next_frame():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(min_interval=5, max_interval=10)))
    for index in range(3):
        assert scheduler.evaluate_and_start(grey(100), index).reason is Reason.FIRST
        scheduler.failed(index)
    scheduler.evaluate_and_start(grey(100), 3)
    scheduler.succeeded(grey(100), 3)
    assert scheduler.evaluate_and_start(grey(100), 4).reason is None


def test_late_failure_of_a_displaced_keyframe_changes_nothing():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(max_interval=5)))
    run(scheduler, [grey(100)] * 5)
    run(scheduler, [grey(100)] * 6, start=5, succeed=False)  # requests on 5 and 10, neither finished
    scheduler.failed(5)
    assert scheduler.evaluate_and_start(grey(100), 11).interval == 1


def test_displaced_keyframe_does_not_count():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(max_interval=5)))
    run(scheduler, [grey(100)] * 5)
    run(scheduler, [grey(100)] * 6, start=5, succeed=False)
    scheduler.failed(10)  # the one of frame 5 was displaced by it: the last good one is frame 0
    decision = scheduler.evaluate_and_start(grey(100), 11)
    assert (decision.reason, decision.interval) == (Reason.INTERVAL, 11)


def test_result_that_comes_while_a_later_one_is_under_way_is_fallen_back_to():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(max_interval=5)))
    run(scheduler, [grey(100)] * 5)
    run(scheduler, [grey(100)] * 6, start=5, succeed=False)
    scheduler.succeeded(grey(100), 5)
    scheduler.failed(10)
    assert scheduler.evaluate_and_start(grey(100), 11).interval == 6


def test_due_until_a_keyframe_has_started_and_urgency_is_that_of_the_newest_frame():
    scheduler = KeyframeScheduler(
        paper(SchedulerConfig(min_interval=2, max_interval=8, threshold=0.2, cut_threshold=10.0))
    )
    run(scheduler, [grey(100)])
    decisions = [
        scheduler.evaluate(grey(level), index) for index, level in enumerate((140, 140, 180, 100), 1)
    ]
    assert [decision.reason for decision in decisions] == [None] + [Reason.DEVIATION] * 3
    assert [decision.urgency for decision in decisions[1:]] == [
        pytest.approx(deviation(grey(100), grey(level)) / 0.2) for level in (140, 180, 100)
    ]
    scheduler.started(grey(180), 3)
    decision = scheduler.evaluate(grey(180), 5)
    assert (decision.reason, decision.score, decision.interval) == (None, 0.0, 2)


def test_beyond_max_interval_and_after_a_cut_nothing_else_goes_first():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(min_interval=2, max_interval=4)))
    run(scheduler, [grey(60)])
    found = [scheduler.evaluate(grey(60), index) for index in range(1, 7)]
    assert [decision.urgency for decision in found] == [0.0] * 3 + [np.inf] * 3
    assert {decision.reason for decision in found[3:]} == {Reason.INTERVAL}
    scheduler.started(grey(60), 6)
    cut, after = scheduler.evaluate(grey(200), 7), scheduler.evaluate(grey(200), 8)
    assert (cut.reason, cut.urgency) == (after.reason, after.urgency) == (Reason.DEVIATION, np.inf)


@pytest.mark.parametrize("reason", [Reason.REQUESTED, Reason.RESET])
def test_a_demand_holds_until_it_is_met_and_no_longer(reason):
    scheduler = KeyframeScheduler(
        paper(SchedulerConfig(min_interval=1, max_interval=100, threshold=0.2, cut_threshold=10.0))
    )
    run(scheduler, [grey(100)])
    scheduler.force(reason)
    found = [scheduler.evaluate(grey(level), index) for index, level in enumerate((100, 180, 100), 1)]
    assert [(decision.reason, decision.urgency) for decision in found] == [(reason, np.inf)] * 3
    scheduler.started(grey(100), 3)
    assert scheduler.evaluate(grey(100), 4).reason is None


def test_a_demand_made_while_a_keyframe_waits_is_met_by_the_next_frame():
    scheduler = KeyframeScheduler(paper(SchedulerConfig(min_interval=1, max_interval=2)))
    run(scheduler, [grey(100)] * 2)
    assert scheduler.evaluate(grey(100), 2).reason is Reason.INTERVAL
    scheduler.force(Reason.REQUESTED)
    scheduler.started(grey(100), 2)
    assert scheduler.evaluate(grey(100), 3).reason is Reason.REQUESTED


def test_threshold_scale_moves_the_threshold_and_not_that_of_cuts():
    step = deviation(grey(100), grey(130))
    for scale, wanted in ((0.5, Reason.DEVIATION), (1.0, Reason.DEVIATION), (1.01, None)):
        scheduler = KeyframeScheduler(
            paper(SchedulerConfig(min_interval=1, threshold=step, cut_threshold=2.0))
        )
        run(scheduler, [grey(100)])
        assert scheduler.evaluate(grey(130), 1, scale).reason is wanted
        assert scheduler.evaluate(grey(255), 2, threshold_scale=1000.0).reason is Reason.DEVIATION


def test_pictures_that_are_kept_are_few():
    """Whatever happens to keyframes: the newest that began, the newest that succeeded, a thinned one."""
    scheduler = KeyframeScheduler(paper(SchedulerConfig(min_interval=1, max_interval=3)))
    for index in range(100):
        image = street(index % 7)
        if scheduler.evaluate(image, index).reason is not None and index % 5:
            scheduler.started(image, index)
            (scheduler.failed if index % 2 else lambda i: scheduler.succeeded(image, i))(index)
    kept = [value for value in vars(scheduler).values() if isinstance(value, (tuple, np.ndarray))]
    assert len(kept) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_keeps_the_bounds(seed):
    rng = np.random.default_rng(seed)
    shortest = int(rng.integers(1, 6))
    config = SchedulerConfig(
        shortest, shortest + int(rng.integers(0, 8)), float(rng.uniform(0.05, 1)), float(rng.uniform(0.3, 2))
    )
    scheduler = KeyframeScheduler(paper(config))
    scenes = [street(seed) for seed in range(5)]
    level, previous, waiting = 128.0, None, []
    reference = None  # picture and index of the last requested keyframe
    good = None  # of the last one that succeeded
    for index in range(200):
        level = np.clip(level + rng.normal(0, 8), 0, 255) if rng.random() > 0.05 else rng.uniform(0, 255)
        image = np.clip(
            scenes[index // 40] + (level - 128) + rng.integers(-9, 10, (*SIZE, 3)), 0, 255
        ).astype(np.uint8)
        forced = rng.random() < 0.03
        if forced:
            scheduler.force(Reason.REQUESTED)
        decision = scheduler.evaluate_and_start(image, index)
        cut = previous is not None and is_hard_cut(previous, image[::4, ::4].copy(), config.cut_threshold)
        previous = image[::4, ::4].copy()
        if reference is None:
            assert decision.reason in (Reason.FIRST, Reason.REQUESTED)
        else:
            interval = index - reference[1]
            assert decision.interval == interval
            assert decision.score == pytest.approx(deviation(image, reference[0]))
            due = cut or (
                interval >= config.min_interval
                and decision.score >= config.threshold
                and is_scene_change(averaged(reference[0]), averaged(image), config.threshold)
            )
            wanted = (
                Reason.REQUESTED
                if forced
                else Reason.DEVIATION
                if due
                else Reason.INTERVAL
                if interval >= config.max_interval
                else None
            )
            assert decision.reason is wanted
        if decision.reason is not None:
            reference = (image, index)
            waiting.append(reference)
        while waiting and rng.random() < 0.5:  # results come in order, sometimes late, sometimes not at all
            picture, at = waiting.pop(0)
            if rng.random() < 0.7:
                scheduler.succeeded(picture, at)
                good = (picture, at)
            else:
                scheduler.failed(at)
                if reference[1] == at:
                    reference = good


@pytest.mark.parametrize(
    "values, message", [(dict(min_interval=5, max_interval=4), r"max_interval 4: use min_interval \(5\)")]
)
def test_settings_that_cannot_work_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        SchedulerConfig(**values)


def test_a_frame_of_480x853_costs_less_than_three_blurs_of_it():
    """Both in time of the processor and in turn, so that neither a busy machine nor a slow one matters. A
    blur takes 0.3 to 0.6 ms on one core."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (480, 853, 3), dtype=np.uint8) for _ in range(2)]
    scheduler = KeyframeScheduler(
        paper(SchedulerConfig(threshold=10.0, cut_threshold=10.0, max_interval=1000))
    )
    times, blurs = [], []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for index in range(31):
            before = time.thread_time()
            scheduler.evaluate_and_start(images[index % 2], index)
            between = time.thread_time()
            cv2.GaussianBlur(images[index % 2], (5, 5), 0)
            times.append(between - before)
            blurs.append(time.thread_time() - between)
    finally:
        cv2.setNumThreads(threads)
    assert np.median(times[1:]) < 3 * np.median(blurs[1:])  # the first frame has nothing to be compared with
