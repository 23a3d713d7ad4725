# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The threshold that follows the encoder, in a simulated encoder with a fake clock."""

from collections import Counter

import numpy as np
import pytest
from pipeline_helpers import keyframe

from dcfm_ros.pipeline.budget import KeyframeBudget
from dcfm_ros.pipeline.deadline import HIGHEST, LOWEST, DeadlineThreshold
from dcfm_ros.pipeline.keyframe_queue import KeyframeQueue

STEP_S = 0.01
THRESHOLD = 0.32


class Simulation:
    """One camera whose score grows by `speed` per second, and an encoder that takes `encode_s`."""

    def __init__(self, share=0.8, speed=2.0, encode_s=0.1):
        self.threshold = DeadlineThreshold(share)
        self.speed, self.encode_s = speed, encode_s
        self.steps, self.score, self.left_s, self.waits = 0, 0.0, 0.0, False

    def run(self, seconds):
        """Factors and share of time at work, in each step."""
        factors, works = [], []
        for _ in range(round(seconds / STEP_S)):
            self.steps += 1
            now_ns = round(self.steps * STEP_S * 1e9)
            self.score += self.speed * STEP_S
            self.left_s = max(0.0, self.left_s - STEP_S)
            factors.append(self.threshold.factor(now_ns))
            self.waits = self.waits or self.score >= THRESHOLD * factors[-1]
            if self.waits and self.left_s < STEP_S / 2:
                self.waits, self.score, self.left_s = False, 0.0, self.encode_s
            works.append(self.left_s > STEP_S / 2)
            self.threshold.update(now_ns, works[-1] + self.waits)
        return np.array(factors), np.mean(works[len(works) // 2 :])


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("encode_s, speed", [(0.1, 2.0), (0.05, 5.0), (0.2, 1.0)])
def test_the_encoder_works_for_its_share_of_time(share, encode_s, speed):
    simulation = Simulation(share, speed, encode_s)
    simulation.run(30)
    factors, works = simulation.run(30)
    wanted = speed * encode_s / share / THRESHOLD  # the score grows by this from keyframe to keyframe
    assert LOWEST < wanted < HIGHEST
    assert works == pytest.approx(share, abs=0.06)
    assert factors.mean() == pytest.approx(wanted, rel=0.15)
    assert factors.max() / factors.min() < 1.15  # it has settled and does not swing


def test_slower_and_faster_encoders_are_followed_without_swinging():
    simulation = Simulation()
    simulation.run(20)
    for encode_s in (0.2, 0.08, 0.15):
        simulation.encode_s = encode_s
        factors, _ = simulation.run(30)
        before, after = factors[0], factors[-500:].mean()
        low, high = min(before, after), max(before, after)
        assert (factors > 0.85 * low).all() and (factors < 1.15 * high).all()  # hardly beyond where it goes
        assert factors[-500:].max() / factors[-500:].min() < 1.15
        assert after == pytest.approx(simulation.speed * encode_s / 0.8 / THRESHOLD, rel=0.15)


def test_changing_scenes_are_followed():
    simulation = Simulation()
    factors = {}
    for speed in (1.5, 6.0, 1.5):
        simulation.speed = speed
        factors.setdefault(speed, []).append(simulation.run(30)[0][-1])
    assert 3 * factors[1.5][0] < factors[6.0][0]
    assert factors[1.5][1] == pytest.approx(factors[1.5][0], rel=0.15)


def test_of_several_cameras_the_most_changed_gets_the_keyframes_and_none_starves():
    """Frames at 20 Hz each; the queue chooses, as in the encoder."""
    speeds, longest = dict(fast=4.0, slow=1.6, still=0.0), 20
    threshold, queue = DeadlineThreshold(0.8), KeyframeQueue(KeyframeBudget())
    last, keyframes, ages, busy_until, works = dict.fromkeys(speeds, 0), Counter(), Counter(), 0, 0
    steps = round(90 / STEP_S)
    for step in range(steps):
        now_ns = round(step * STEP_S * 1e9)
        for number, (camera, speed) in enumerate(speeds.items()):
            if step % 5 == number:  # a frame of this camera
                age = (step - last[camera]) // 5
                score = speed * (step - last[camera]) * STEP_S
                ages[camera] = max(ages[camera], age)
                limit = THRESHOLD * threshold.factor(now_ns)
                if (age >= 2 and score >= limit) or age >= longest:
                    queue.put(keyframe(camera, np.inf if age >= longest else score / limit), now_ns)
        if step >= busy_until and (taken := queue.take(now_ns)) is not None:
            busy_until = step + 12  # 120 ms
            last[taken.camera] = step
            keyframes[taken.camera] += step > steps // 2
        works += step > steps // 2 and step < busy_until
        threshold.update(now_ns, len(queue) + (step < busy_until))
    assert keyframes["fast"] > 2 * keyframes["slow"] and keyframes["slow"] > 1.2 * keyframes["still"] > 0
    assert max(ages.values()) <= longest + 3 and threshold.factor(now_ns) < 0.95 * HIGHEST
    assert 0.6 <= works / (steps // 2) <= 0.85


def test_limits():
    assert Simulation(speed=0.0).run(60)[0][-1] == pytest.approx(LOWEST)
    assert Simulation(speed=100.0, encode_s=0.5).run(60)[0][-1] == pytest.approx(HIGHEST, rel=0.01)


def test_time_before_the_first_keyframe_does_not_count():
    threshold = DeadlineThreshold(0.8)
    assert threshold.factor(10**18) == 1.0
