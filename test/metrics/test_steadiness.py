# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steadiness without labels: against definitions that are written out pixel by pixel."""

import numpy as np
import pytest

from dcfm_ros.metrics.steadiness import RETURN, STILL, WINDOW, Steadiness, SteadyCounts

SIZE = (6, 7)


def frames(count, seed, classes=3):
    """Pictures and masks in which some pixels stand still for a while."""
    random = np.random.default_rng(seed)
    image, mask = random.integers(0, 256, (*SIZE, 3)), random.integers(0, classes, SIZE)
    for _ in range(count):
        jumps = random.random(SIZE) < 0.03
        image = np.where(
            jumps[..., None], random.integers(0, 256, (*SIZE, 3)), image + random.integers(-7, 8, image.shape)
        )
        image = np.clip(image, 0, 255)
        mask = np.where(random.random(SIZE) < 0.15, random.integers(0, classes, SIZE), mask)
        yield image.astype(np.uint8), mask.astype(np.uint8)


def by_hand(sequence):
    """(still, steady, returned, watched) by the words of the definition."""
    still = steady = returned = watched = 0
    for t in range(len(sequence)):
        watched += SIZE[0] * SIZE[1] if t > RETURN else 0
        for y, x in np.ndindex(SIZE):
            mask = [int(m[y, x]) for _, m in sequence[: t + 1]]
            if t >= WINDOW - 1:
                steps = [
                    abs(sequence[k][0][y, x].astype(int) - sequence[k - 1][0][y, x]).max()
                    for k in range(t - WINDOW + 2, t + 1)
                ]
                if max(steps) < STILL:
                    still += 1
                    steady += len(set(mask[-WINDOW:])) == 1
            if t > RETURN and mask[t] != mask[t - 1]:
                # When did the class last change away from what it is now? At most RETURN frames ago.
                returned += any(mask[k - 1] == mask[t] != mask[k] for k in range(t - RETURN, t))
    return still, steady, returned, watched


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_the_definition(seed):
    sequence, counts = list(frames(30, seed)), SteadyCounts()
    course = Steadiness(counts)
    shares = [course.add(*frame) for frame in sequence]
    expected = by_hand(sequence)
    assert (counts.still, counts.steady, counts.returned, counts.watched) == expected
    assert min(expected) > 0 and expected[1] < expected[0]
    assert counts.steady_share == expected[1] / expected[0] and counts.flicker == expected[2] / expected[3]
    assert shares[: RETURN + 1] == [None] * (RETURN + 1)
    assert sum(shares[RETURN + 1 :]) * SIZE[0] * SIZE[1] == pytest.approx(expected[2])


@pytest.mark.parametrize("change, still", [(STILL - 1, True), (STILL, False)])
@pytest.mark.parametrize("channel", range(3))
def test_one_channel_is_enough_to_move(channel, change, still):
    counts = SteadyCounts()
    course = Steadiness(counts)
    for number in range(WINDOW):
        image = np.full((*SIZE, 3), 100, np.uint8)
        image[..., channel] += change * (number % 2)
        course.add(image, np.zeros(SIZE, np.uint8))
    assert counts.still == (SIZE[0] * SIZE[1] if still else 0)


def test_without_enough_frames_there_is_no_figure():
    counts = SteadyCounts()
    course = Steadiness(counts)
    for image, mask in frames(RETURN + 1, 0):
        course.add(image, mask)
    assert np.isnan(counts.steady_share) and np.isnan(counts.flicker)


def test_counts_of_several_runs_add_up():
    runs, together = [], SteadyCounts()
    for seed in (4, 5):
        runs.append(SteadyCounts())
        course, both = Steadiness(runs[-1]), Steadiness(together)
        for frame in frames(12, seed):
            course.add(*frame)
            both.add(*frame)
    runs[0].merge(runs[1])
    assert runs[0] == together
