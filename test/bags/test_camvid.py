# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real data: half of CamVid's val sequence as a recording has just the figures that `dcfm evaluate` gives
its files."""

import shutil
from pathlib import Path

import pytest

from dcfm_ros.bags.evaluate import evaluate_bag
from dcfm_ros.bags.make import make_bag
from dcfm_ros.bags.options import BagEvaluateOptions, MakeOptions
from dcfm_ros.evaluation.evaluate import evaluate
from dcfm_ros.evaluation.options import EvaluateOptions
from dcfm_ros.pipeline.settings import THRESHOLDS

FRAMES = 51  # of 101
CAMVID = Path(__file__).parents[3] / "shared" / "camvid"
# Of no labels, or of the way a row was made.
OTHERS = {
    "name",
    "labelled_frames",
    "steady8",
    "flicker",
    "agreement",
    "keyframe_reasons",
    "mean_keyframe_interval",
    "feature_age_frames",
    "feature_age_s",
    "alignments",
    "motion_px",
    "miou_by_age",
    "mode",
    "interval",
}

pytestmark = pytest.mark.skipif(not CAMVID.is_dir(), reason=f"{CAMVID.name} is not beside the repository")


@pytest.fixture(scope="module")
def camvid(tmp_path_factory):
    """A folder of the first frames."""
    folder = tmp_path_factory.mktemp("data") / "camvid"
    for kind in ("images", "labels"):
        (folder / "val" / kind).mkdir(parents=True)
        for path in sorted((CAMVID / "val" / kind).iterdir())[:FRAMES]:
            shutil.copy(path, folder / "val" / kind)
    return folder


@pytest.fixture(scope="module")
def evaluated(camvid, tmp_path_factory):
    """`evaluated(mode, alignment)`: the result of the recording, each made once; the first with a per-frame
    run."""
    folder, made = tmp_path_factory.mktemp("camvid"), {}
    make_bag(MakeOptions(str(camvid / "val"), str(folder / "val"), rate_hz=15.0))

    def result(mode, alignment):
        if (mode, alignment) not in made:
            made[mode, alignment] = evaluate_bag(
                BagEvaluateOptions(
                    str(folder / "val"),
                    labels=("/camera/label",),
                    out=str(folder / "out"),
                    page=False,
                    mode=mode,
                    alignment=alignment,
                    per_frame=not made,
                )
            )
        return made[mode, alignment]

    return result


@pytest.fixture(scope="module")
def by_files(camvid):
    """Rows of `dcfm evaluate` by mode, alignment, interval and threshold."""
    report = evaluate(
        EvaluateOptions(
            str(camvid),
            modes=("causal", "two_sided"),
            alignments=("flow", "none"),
            intervals=(1,),
            thresholds=tuple(THRESHOLDS.values()),
            max_age=0,
            out="",
        )
    )
    return {(row["mode"], row["alignment"], row["interval"], row["threshold"]): row for row in report["rows"]}


@pytest.mark.slow
@pytest.mark.parametrize("mode, alignment", [("sync", "flow"), ("sync", "none"), ("two_sided", "flow")])
def test_figures_are_those_of_the_files(evaluated, by_files, mode, alignment):
    dcfm, *per_frame = evaluated(mode, alignment).rows
    adaptive = by_files["causal" if mode == "sync" else mode, alignment, None, dcfm["threshold"]]
    for mine, theirs in (
        (dcfm, adaptive),
        *((row, by_files["causal", "none", 1, None]) for row in per_frame),
    ):
        assert {name: value for name, value in mine.items() if name not in OTHERS} == {
            name: value for name, value in theirs.items() if name not in OTHERS | {"model"}
        }
    assert dcfm["labelled_frames"] == FRAMES and dcfm["miou"] > 0.5
    moved = dcfm["alignments"].get("flow", 0)
    assert moved > FRAMES / 2 and dcfm["motion_px"] > 1 if alignment == "flow" else moved == 0


@pytest.mark.slow
def test_figures_without_labels_are_plausible(evaluated):
    result = evaluated("sync", "flow")
    dcfm, per_frame = result.rows
    assert 0.9 < dcfm["agreement"] < 1.0
    for row in (dcfm, per_frame):
        assert 0.95 < row["steady8"] < 1.0 and 0.0 < row["flicker"] < 0.1
    assert 0.1 < dcfm["keyframe_rate"] < 0.4 and per_frame["keyframe_rate"] == 1.0
    assert not result.report["notes"]
