# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worst moments found in passing are those found by looking at everything."""

import math

import numpy as np
import pytest

from dcfm_ros.reports.page.moments import KINDS, LARGEST_FLICKER, LOWEST_IOU, OLDEST_FEATURE, WorstMoments

PICTURE = np.zeros((2, 2, 3), np.uint8)


def of_all(offers, count, apart_s, sign):
    """Of (camera, time, value): the worst of each stretch, then one after the other those that are far from
    the chosen."""
    stretches = {}
    for camera, time_s, value in offers:
        best = stretches.setdefault((camera, math.floor(time_s / apart_s)), (camera, time_s, value))
        if sign * value > sign * best[2]:
            stretches[camera, math.floor(time_s / apart_s)] = (camera, time_s, value)
    order = {offer: number for number, offer in enumerate(offers)}
    chosen = []
    for camera, time_s, value in sorted(
        stretches.values(), key=lambda offer: (-sign * offer[2], order[offer])
    ):
        if all(camera != c or abs(time_s - t) >= apart_s for c, t, _ in chosen):
            chosen.append((camera, time_s, value))
    return chosen[:count]


def offered(worst, kind, offers):
    made = []
    for camera, time_s, value in offers:
        worst.offer(kind, camera, round(time_s * 1e9), time_s, value, lambda: made.append(time_s) or PICTURE)
    return made


def random_offers(rng, length, shape):
    times = np.sort(rng.uniform(0, length / 15, length)).round(6)
    values = {
        "noise": rng.random(length),
        "ties": rng.integers(0, 3, length) / 2,
        "decline": np.arange(length) / length,
        "walk": np.abs(np.cumsum(rng.normal(size=length))),
    }[shape]
    return list(dict.fromkeys(zip(rng.choice(["front", "left"], length), times.tolist(), values.tolist())))


@pytest.mark.parametrize("shape", ["noise", "ties", "decline", "walk"])
@pytest.mark.parametrize("kind, sign", [(LOWEST_IOU, -1), (LARGEST_FLICKER, 1)])
def test_as_by_looking_at_everything(kind, sign, shape):
    rng = np.random.default_rng(1)
    for length in (1, 5, 60, 900):
        for count, apart_s in ((1, 1.0), (4, 1.0), (3, 7.5)):
            offers, worst = random_offers(rng, length, shape), WorstMoments(count, apart_s)
            offered(worst, kind, offers)
            found = [(moment.camera, moment.time_s, moment.value) for moment in worst.moments()]
            assert found == of_all(offers, count, apart_s, sign)


def test_the_worst_comes_first_and_is_always_there():
    worst = WorstMoments()
    offers = random_offers(np.random.default_rng(2), 2000, "noise")
    offered(worst, OLDEST_FEATURE, offers)
    values = [moment.value for moment in worst.moments()]
    assert values == sorted(values, reverse=True) and values[0] == max(value for _, _, value in offers)


def test_neighbouring_frames_are_one_moment():
    worst = WorstMoments(count=4, apart_s=1.0)
    offered(worst, LARGEST_FLICKER, [("", 4.9, 0.8), ("", 5.0, 0.9), ("", 5.1, 0.85), ("", 8.0, 0.1)])
    assert [moment.time_s for moment in worst.moments()] == [5.0, 8.0]


def test_pictures_are_made_of_what_is_kept_and_their_number_is_bounded():
    worst, alive = WorstMoments(count=2), []
    made = offered(worst, LOWEST_IOU, [("", float(second), 0.5 + second / 1000) for second in range(400)])
    assert made == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]  # the first are the worst: no other has a picture
    for second in range(400):
        worst.offer(
            LARGEST_FLICKER, "", second, float(second), second / 400, lambda: alive.append(PICTURE) or PICTURE
        )
    assert len(alive) == 400  # each is worse than those before
    assert sum(len(kept) for kept in worst._kept.values()) == 12


def test_kinds_do_not_displace_each_other():
    worst = WorstMoments(count=1)
    for kind in reversed(KINDS):
        offered(worst, kind, [("", 3.0, 0.5)])
    assert [moment.kind for moment in worst.moments()] == list(KINDS)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kind": "ugliest"}, "unknown kind of moment 'ugliest': use one of lowest IoU"),
        ({"value": float("nan")}, "lowest IoU nan at 1.0 s: leave frames without a value out"),
    ],
)
def test_bad_offers_are_refused(change, message):
    offer = {
        "kind": LOWEST_IOU,
        "camera": "",
        "stamp_ns": 1,
        "time_s": 1.0,
        "value": 0.5,
        "make_picture": lambda: PICTURE,
    }
    with pytest.raises(ValueError, match=message):
        WorstMoments().offer(**{**offer, **change})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"count": 0}, "count 0: keep at least 1"),
        ({"apart_s": 0.0}, "apart_s 0.0: use a number of seconds above 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WorstMoments(**options)
