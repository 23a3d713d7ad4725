# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which model fits, why another does not, what would make it fit, which one to take."""

from dataclasses import replace

import pytest
from plan_helpers import COSTS, measured

from dcfm_ros.benchmark.plan.schedule import Costs
from dcfm_ros.benchmark.plan.verdict import recommended, row_of


def test_what_fits():
    row = row_of(measured())
    assert row.fits and row.remedies == ()
    # by the schedule 10 x 25 ms + 3.5 x 200 ms of two cores; measured were 0.7 s and ROS
    assert row.load == pytest.approx(0.475)
    assert row_of(measured(drive={"cpu_s": 9.0})).load == pytest.approx((0.9 + 0.05) / 2)


SLOW = replace(COSTS, frame_s=0.120)  # 1.25 processor seconds per second


@pytest.mark.parametrize(
    "made, reason, remedies",
    [
        (
            measured(SLOW, {"cameras": 3, "share": 0.9}, {"cpu_s": 17.0}),
            "it takes 2.17 of the processor, with a keyframe every 10 frames, where 0.90 are given",
            # one camera: 1.25 + 0.2 processor seconds of 1.71; the rate: (1.71 / 3 - 0.19) / 0.125
            ["--cameras 1", "--rate 3"],
        ),
        (
            measured(COSTS, {"share": 0.1}, {"cpu_s": 4.3}),
            "it takes 0.24 of the processor, with a keyframe every 10 frames, where 0.10 are given",
            ["--share 0.26"],  # with the fewest keyframes already: what was measured, and the margin
        ),
        (
            measured(COSTS, {}, {"dropped": 40, "images": 140, "others_s": 8.0}),
            "29 % of the images are dropped: a mask comes after 10 ms, and an image comes every 100 ms",
            ["--rate 9", "less beside it: other programs used 0.40 of the cores meanwhile"],
        ),
        (
            measured(COSTS, {}, {"dropped": 140, "images": 140, "latencies_ms": (), "ages_s": ()}),
            "100 % of the images are dropped: no mask came",
            ["a lighter model, or a faster processor"],
        ),
        (
            measured(replace(COSTS, encoder_hz=0.5)),
            "the encoder makes 0.50 keyframes per second: features would get older than 1.1 s",
            ["a lighter model, or a faster processor"],
        ),
        (
            measured(Costs(0.203, 0.0, 0.0, 0.005, per_frame=True), {"image_size": (1080, 1920)}),
            "it takes 1.04 of the processor, where 0.50 are given",
            ["--rate 4", "--mask-size 0.5"],
        ),
    ],
)
def test_what_does_not_fit(made, reason, remedies):
    row = row_of(made)
    assert not row.fits and any(text.startswith(reason) for text in row.reasons), row.reasons
    assert len(row.remedies) == len(remedies), row.remedies
    assert all(found.startswith(text) for found, text in zip(row.remedies, remedies)), row.remedies


def test_the_most_accurate_that_fits_is_recommended():
    better, other = row_of(measured()), row_of(measured(job={"model": "street11_b0"}))
    assert recommended([other, better]) is better
    failing = row_of(measured(drive={"dropped": 50}))
    assert recommended([failing, other]) is other
    assert recommended([failing]) is None


def test_of_models_that_cannot_be_compared_the_first(tmp_path):
    per_frame = row_of(measured(Costs(0.02, 0.0, 0.0, 0.005, per_frame=True)))
    known = row_of(measured())
    assert recommended([per_frame, known]) is per_frame
    assert recommended([known, per_frame]) is known
