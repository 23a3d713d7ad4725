# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The line that tells of an evaluation; those of the other steps are in test_gpu_run.py."""

import pytest
from gpu.lines import line
from gpu.steps import Training, plan

ROWS = [{"miou": 0.61, "interval": 5}]


@pytest.mark.parametrize(
    "by_age, line_",
    [
        (
            {"frames": 9, "miou": {"flow": [0.7, 0.65, 0.6]}},
            "70.00 at age 0, 65.00 at age 1, 60.00 at age 2, 61.00 with a keyframe every 5 frames",
        ),
        (None, "61.00 with a keyframe every 5 frames"),
    ],
)
def test_an_evaluation_is_told_by_age_and_row(by_age, line_):
    assert (
        line("evaluation", {"data": {"name": "mine"}, "by_age": by_age, "rows": ROWS}, "")
        == f"mine: mIoU {line_}"
    )


def test_of_alignments_the_one_that_is_told_of_is_evaluated(tmp_path):
    """Else rows of different ways would stand in the line without their names."""
    training = Training("config", data=(), init="", resume="", out=tmp_path, device="cpu")
    evaluation = next(step for step in plan(training, ("evaluation",)) if step.name == "evaluation")
    assert evaluation.command[evaluation.command.index("--alignments") + 1] == "flow"
