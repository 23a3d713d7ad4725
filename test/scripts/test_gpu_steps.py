# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of a run on a GPU machine."""

from pathlib import Path

from gpu import steps

ROOT = Path(__file__).parents[2]


def test_all_steps_of_a_gpu_are_there_in_order_of_value(monkeypatch):
    training = steps.Training("a.yaml", "", "", ("camvid=c",), Path("out"), "cuda")
    plan = steps.plan(training)
    assert [step.name for step in plan] == [
        "tests",
        *(f"benchmark mit_b{number} f16" for number in (0, 5, 2)),
        "kernels mit_b0 f16",
        "kernels mit_b5 f16",
        *(f"benchmark mit_b{number} bf16" for number in (0, 5, 2)),
        "training",
        "evaluation",
    ]
    assert sum(step.least_s for step in plan) < 8.5 * 60
    # training is never starved
    assert all(step.leaves_s >= 100 for step in plan[:-2]) and plan[-2].leaves_s > 0
    assert all(
        step.leaves_s == 0
        for step in steps.plan(training, ("tests", "benchmark", "training"))
        if step.kind == "training"
    )
    assert all(step.leaves_s == 0 for step in steps.plan(training, ("tests", "benchmark", "kernels")))
    for path in (*steps.TESTS, *steps.HELPERS):
        assert (ROOT / path).is_file()
