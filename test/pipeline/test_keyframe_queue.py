# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Order of keyframes, with a fake clock and simulated cameras."""

import math
from collections import Counter

import numpy as np
import pytest
from pipeline_helpers import keyframe

from dcfm_ros.pipeline.budget import KeyframeBudget
from dcfm_ros.pipeline.keyframe_queue import KeyframeQueue

SECOND = 1_000_000_000


def queue(hz=0.0, **options):
    return KeyframeQueue(KeyframeBudget(hz), **options)


def names(keyframes):
    return "".join(keyframe.camera for keyframe in keyframes)


def drain(made, now_ns=0):
    found = []
    while (request := made.take(now_ns)) is not None:
        found.append(request)
    return found


def test_newest_of_a_camera_takes_the_place_of_the_older_one():
    made = queue()
    older, other, newer = keyframe("a"), keyframe("b"), keyframe("a")
    assert made.put(older, 0) is None and made.put(other, 0) is None
    assert made.put(newer, 0) is older
    assert len(made) == 2 and drain(made) == [newer, other] and len(made) == 0


def test_urgent_ones_first_in_the_order_in_which_cameras_became_due():
    made = queue()
    for camera, urgency in (("a", 9.0), ("b", 1.0), ("c", math.inf), ("d", math.inf), ("b", math.inf)):
        made.put(keyframe(camera, urgency), 0)
    assert names(drain(made)) == "bcda"  # b has waited longest


@pytest.mark.parametrize(
    "urgencies", [dict(a=2.0, b=1.0), dict(a=1.0, b=1.0, c=1.0, d=1.0), dict(a=5.0, b=1.2, c=2.4, d=1.0)]
)
def test_keyframes_in_proportion_to_urgency_where_all_wait(urgencies):
    made, found = queue(), []
    for _ in range(600):
        for camera, urgency in urgencies.items():
            made.put(keyframe(camera, urgency), 0)
        found.append(names([made.take(0)]))
    total = sum(urgencies.values())
    for camera, urgency in urgencies.items():
        assert found.count(camera) == pytest.approx(600 * urgency / total, abs=2)
        gaps = np.diff([number for number, name in enumerate(found) if name == camera])
        assert gaps.max() <= len(urgencies) * math.ceil(total / urgency)  # evenly, not in blocks


def test_a_camera_that_pauses_earns_nothing_by_it():
    made = queue()
    for round in range(100):
        for camera in "ab" if round >= 50 else "a":
            made.put(keyframe(camera), 0)
        made.take(0)
    found = []
    for _ in range(20):
        for camera in "ab":
            made.put(keyframe(camera), 0)
        found.append(names([made.take(0)]))
    assert abs(found[:10].count("a") - 5) <= 1


def test_no_camera_starves_beyond_max_interval():
    """Scores of 9 cameras keep the encoder busy; the one with the least goes on when it is overdue."""
    made, served, since = queue(), Counter(), 0
    longest = 0
    for _slot in range(300):
        for number in range(9):
            made.put(keyframe(str(number), 50.0), 0)
        made.put(keyframe("least", math.inf if since > 20 else 1.0), 0)
        camera = made.take(0).camera
        served[camera] += 1
        since = 0 if camera == "least" else since + 1
        longest = max(longest, since)
    assert longest <= 21 and served["least"] >= 300 // 22


def test_simulated_cameras_share_a_slow_encoder_in_proportion_and_never_wait_long():
    """Scores grow with each camera's own speed from keyframe to keyframe: the faster, the more keyframes;
    none starves."""
    speeds = dict(a=4.0, b=2.0, c=1.0, d=1.0)
    made, last, served, ages = queue(), dict.fromkeys(speeds, 0), Counter(), Counter()
    for slot in range(1, 1000):
        for camera, speed in speeds.items():
            ages[camera] = max(ages[camera], slot - last[camera])
            if (score := speed * (slot - last[camera])) >= 1.0:
                made.put(keyframe(camera, math.inf if slot - last[camera] > 12 else score), 0)
        camera = made.take(0).camera
        served[camera], last[camera] = served[camera] + 1, slot
    assert served["a"] > 1.2 * served["b"] > 1.2 * served["c"] and served["c"] == pytest.approx(
        served["d"], rel=0.1
    )
    assert max(ages.values()) <= 12 + len(speeds)


def test_the_budget_wins_over_everything_but_first_keyframes():
    made = queue(hz=1.0)
    for number, urgency in enumerate((2.0, math.inf, math.inf)):
        made.put(keyframe(str(number), urgency), 0)
    assert names(drain(made)) == "1" and made.wait_s(0) == pytest.approx(1.0)
    made.put(keyframe("new", math.inf, is_first=True), 0)
    assert made.wait_s(0) == 0.0 and names(drain(made)) == "new"  # on credit, which the others pay off
    assert made.wait_s(0) == pytest.approx(2.0)
    assert names(drain(made, round(1.9 * SECOND))) == "" and names(drain(made, 2 * SECOND)) == "2"
    assert names(drain(made, 3 * SECOND)) == "0" and made.wait_s(3 * SECOND) is None


def test_first_keyframes_do_not_borrow_without_end():
    made = queue(hz=2.0)
    for number in range(10):
        made.put(keyframe(str(number), math.inf, is_first=True), 0)
    assert len(drain(made)) == 4 and len(drain(made, 5 * SECOND)) == 4


def test_a_camera_that_begins_anew_all_the_time_does_not_starve_the_others():
    made, times = queue(hz=4.0), dict(anew=[], good=[0])
    for step in range(1200):
        now_ns = step * SECOND // 20
        made.put(keyframe("anew", math.inf, is_first=True), now_ns)
        made.put(keyframe("good", math.inf if step - times["good"][-1] > 10 else 1.0), now_ns)
        while (taken := made.take(now_ns)) is not None:
            times[taken.camera].append(step)
    assert np.diff(times["good"]).max() <= 10 + 2 * 5  # frames: overdue, and two of the budget's keyframes
    assert len(times["good"]) + len(times["anew"]) <= 4 * 60 + 8


def test_next_is_left_to_the_camera_whose_turn_it_is_as_long_as_it_asks():
    """Case of mode sync, in which each frame requests once."""
    made = queue(hz=1.0, ttl_s=1.0)
    urgent, patient = keyframe("urgent", math.inf), keyframe("patient")
    made.put(urgent, 0)
    assert made.take_if_next(urgent, 0)
    for now_ns in (0, SECOND // 2):
        made.put(urgent, now_ns)
        assert not made.take_if_next(urgent, now_ns)  # no budget
    made.put(patient, SECOND)
    assert not made.take_if_next(patient, SECOND)  # it would be the urgent one's
    made.put(patient, 2 * SECOND)
    assert made.take_if_next(patient, 2 * SECOND)  # which asks no more
    assert made.take(2 * SECOND) is None


def test_shares_of_a_budget_with_frames_in_turn():
    made, served = queue(hz=2.0, ttl_s=1.0), Counter()
    for step in range(4000):
        camera, now_ns = "ab"[step % 2], step * SECOND // 30
        asked = keyframe(camera, dict(a=2.0, b=1.0)[camera])
        made.put(asked, now_ns)
        served[camera] += made.take_if_next(asked, now_ns)
    assert served.total() == pytest.approx(2 * 4000 / 30, abs=4)
    assert served["a"] == pytest.approx(2 * served["b"], rel=0.05)


def test_nothing_is_kept_but_the_newest_request_of_each_camera():
    made = queue(hz=0.01)
    for number in range(500):
        made.put(keyframe(f"camera{number % 4}"), number)
        made.take(number)
        assert len(made) <= 4 and len(made._credit) <= 4
    assert len(made.clear()) == 4 and len(made) == 0
