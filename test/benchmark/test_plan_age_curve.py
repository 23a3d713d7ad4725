# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an old common feature costs: the curves of docs/results.md, and what lies between their points."""

from pathlib import Path

import pytest
from helpers import write_tiny_model

from dcfm_ros.benchmark.plan.age_curve import AGES, CURVES, expected_accuracy, miou_at
from dcfm_ros.model.model_yaml import built_in_models

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.mark.parametrize("model", CURVES)
def test_curves_are_those_of_the_results(model):
    lines = RESULTS.read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| CamVid val, `{model}` |"))
    head = next(line for line in reversed(lines[: lines.index(row)]) if line.startswith("| mIoU by age"))
    assert tuple(map(int, head.split("|")[2:-1])) == AGES
    assert tuple(map(float, row.split("|")[2:-1])) == CURVES[model]


def test_between_the_points_and_beyond_them():
    ages_s = (0.0, 1 / 15, 0.2, 16 / 15, 9.0)  # 0, 1, 3, 16 frames of the curve
    assert miou_at("street11", ages_s) == pytest.approx([71.9, 71.4, (70.4 + 67.9) / 2, 56.7, 56.7])


def test_of_a_built_in_model():
    found = expected_accuracy("street11_b0", (0.0, 8 / 15))
    assert (found.miou, found.loss) == pytest.approx(((60.8 + 57.8) / 2, 1.5))
    assert found.measured_on == "street11_b0" in built_in_models()


def test_others_are_expected_to_lose_what_the_built_in_one_does(tmp_path):
    found = expected_accuracy(write_tiny_model(tmp_path / "street11"), (1 / 15, 2 / 15))
    assert found.miou is None and found.measured_on == "street11"
    assert found.loss == pytest.approx(71.9 - (71.4 + 70.4) / 2)


def test_a_per_frame_model_has_no_old_feature():
    found = expected_accuracy("street11", (0.0,), per_frame=True)
    assert (found.miou, found.loss, found.measured_on) == (None, 0.0, "")
