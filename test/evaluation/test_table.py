# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports as text."""

import pytest

from dcfm_ros.evaluation.schedule import Schedule
from dcfm_ros.evaluation.table import evaluation_table, schedule_of
from dcfm_ros.reports.text import aligned


def row(**values):
    figures = dict.fromkeys(
        ("miou", "miou_all", "wiou", "mvc8", "mvc16", "miou_keyframes", "miou_other_frames"), 0.5
    )
    return {
        "mode": "causal",
        "delay": 0,
        "interval": 2,
        "threshold": None,
        "alignment": "none",
        "keyframe_rate": 0.5,
        "keyframes_too_soon": 0,
        **figures,
        **values,
    }


def report(*rows, **values):
    return {
        "data": {"name": "my data val", "labelled_frames": 3, "frames": 9, "clips": 1},
        "models": [
            {
                "name": "mine",
                "architecture": "dcfm",
                "backbone": "mit_b0",
                "backend": "torch",
                "device": "cpu",
                "precision": "f32",
                "input": [48, 85],
                "exact_size": False,
            }
        ],
        "rows": rows,
        "by_age": None,
        "notes": [],
        **values,
    }


def test_columns_stand_under_each_other():
    assert aligned([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc   d"]


def test_figures_are_per_cent_and_missing_ones_are_dashes():
    lines = evaluation_table(
        report(row(miou=0.43210, mvc16=None, alignment="flow"), row(interval=None, threshold=0.32))
    ).splitlines()
    assert lines[0] == "my data val: 3 labelled of 9 frames in 1 clips"
    assert lines[4].split() == [
        "causal",
        "aligned",
        "K",
        "=",
        "2",
        "0.500",
        "43.21",
        "50.00",
        "50.00",
        "50.00",
        "-",
        "50.00",
        "50.00",
    ]
    assert lines[5].split()[:5] == ["causal", "as", "published", "AKS", "0.32"]
    assert len({len(line) for line in lines[3:6]}) == 1


@pytest.mark.parametrize("ways", [("none",), ("flow", "none", "logits")])
def test_times_ages_and_notes_are_told(ways):
    """By age a line for each alignment, in their order."""
    by_age = {"frames": 7, "miou": {way: [0.5, 0.4 - number / 100] for number, way in enumerate(ways)}}
    text = evaluation_table(
        report(row(fps_published=12.34, fps_user=10.0), fps={}, notes=["be careful"], by_age=by_age)
    )
    assert "FPS published: motion where it is needed, calls of the backend" in text
    assert "12.3" in text and "note: be careful" in text
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("mIoU of 7 frames by age"))
    assert lines[begin].split()[-2:] == ["0", "1"]
    told = {"none": "as published", "flow": "aligned", "logits": "moved logits"}
    for line, (number, way) in zip(lines[begin + 1 :], enumerate(ways)):
        assert line.split() == [*told[way].split(), "50.00", f"{40 - number}.00"] and len(line) == len(
            lines[begin]
        )


def test_a_per_frame_network_has_no_features_to_align():
    lines = evaluation_table(report(row(mode="per_frame", interval=1), row(alignment="logits"))).splitlines()
    assert lines[3].split()[:2] == ["mode", "features"] and lines[4].split()[:2] == ["per-frame", "-"]
    assert lines[5].split()[:3] == ["causal", "moved", "logits"]


@pytest.mark.parametrize("alignment", ["flow", "none", "logits"])
def test_a_row_names_its_schedule(alignment):
    assert schedule_of(row(mode="async", delay=2, alignment=alignment)) == Schedule(
        "async", interval=2, delay=2, alignment=alignment
    )


def test_the_rule_of_the_input_size_is_told():
    text = evaluation_table(report(row()))
    assert "network input about 48x85 pixels in multiples of 32, as live" in text
    models = [{**report()["models"][0], "exact_size": True}]
    assert "network input 48x85 exactly" in evaluation_table(report(row(), models=models))


def test_rows_that_the_live_pipeline_does_not_have_are_marked():
    lines = evaluation_table(report(row(mode="async", delay=4, keyframes_too_soon=3), row())).splitlines()
    assert (
        "K = 2 *" in lines[4]
        and "*" not in lines[5]
        and sum(line.startswith("*: keyframes come") for line in lines) == 1
    )
    assert "*" not in evaluation_table(report(row()))
