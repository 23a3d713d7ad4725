# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real data: CamVid's val sequence as a recording has just the figures that `dcfm evaluate` gives its files."""
from pathlib import Path

import pytest

from dcfm_ros.bags.evaluate import evaluate_bag
from dcfm_ros.bags.make import MakeOptions, make_bag
from dcfm_ros.bags.options import BagEvaluateOptions
from dcfm_ros.evaluation.evaluate import EvaluateOptions, evaluate

CAMVID = Path(__file__).parents[3] / "shared" / "camvid"
# Of no labels, or of the way a row was made.
OTHERS = {"name", "labelled_frames", "steady8", "flicker", "agreement", "keyframe_reasons", "mean_keyframe_interval",
          "feature_age_frames", "feature_age_s", "miou_by_age", "mode", "interval"}

pytestmark = pytest.mark.skipif(not CAMVID.is_dir(), reason=f"{CAMVID.name} is not beside the repository")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camvid")
    make_bag(MakeOptions(str(CAMVID / "val"), str(folder / "val"), rate_hz=15.0))
    return evaluate_bag(BagEvaluateOptions(str(folder / "val"), labels=("/camera/label",), out=str(folder / "out"), page=False))


def test_figures_are_those_of_the_files(result, tmp_path):
    dcfm, per_frame = result.rows
    by_files = evaluate(EvaluateOptions(str(CAMVID), modes=("causal",), intervals=(1,), thresholds=(0.32,), out=str(tmp_path)))
    every, adaptive = by_files["rows"]
    for mine, theirs in ((dcfm, adaptive), (per_frame, every)):
        assert {name: value for name, value in mine.items() if name not in OTHERS} == {
            name: value for name, value in theirs.items() if name not in OTHERS | {"model"}}
    assert dcfm["labelled_frames"] == 101 and dcfm["miou"] > 0.5


def test_figures_without_labels_are_plausible(result):
    dcfm, per_frame = result.rows
    assert 0.9 < dcfm["agreement"] < 1.0
    for row in (dcfm, per_frame):
        assert 0.95 < row["steady8"] < 1.0 and 0.0 < row["flicker"] < 0.1
    assert 0.2 < dcfm["keyframe_rate"] < 0.4 and per_frame["keyframe_rate"] == 1.0
    assert not result.report["notes"]
