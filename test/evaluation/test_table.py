# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports as text."""
from dcfm_ros.evaluation.keyframes import Schedule
from dcfm_ros.evaluation.table import aligned, evaluation_table, schedule_of


def row(**values):
    figures = {name: 0.5 for name in ("miou", "miou_all", "wiou", "mvc8", "mvc16", "miou_keyframes", "miou_other_frames")}
    return {"mode": "causal", "delay": 0, "interval": 2, "threshold": None, "keyframe_rate": 0.5,
            "keyframes_too_soon": 0, **figures, **values}


def report(*rows, **values):
    return {"data": {"name": "my data val", "labelled_frames": 3, "frames": 9, "clips": 1},
            "models": [{"name": "mine", "architecture": "dcfm", "backbone": "mit_b0", "backend": "torch", "device": "cpu", "precision": "f32",
                        "input": [48, 85], "exact_size": False}],
            "rows": rows, "by_age": None, "notes": [], **values}


def test_columns_stand_under_each_other():
    assert aligned([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc   d"]


def test_figures_are_per_cent_and_missing_ones_are_dashes():
    lines = evaluation_table(report(row(miou=0.43210, mvc16=None), row(interval=None, threshold=0.32))).splitlines()
    assert lines[0] == "my data val: 3 labelled of 9 frames in 1 clips"
    assert lines[4].split() == "causal K = 2 0.500 43.21 50.00 50.00 50.00 - 50.00 50.00".split()
    assert lines[5].split()[:3] == ["causal", "AKS", "0.32"] and len({len(line) for line in lines[3:6]}) == 1


def test_times_ages_and_notes_are_told():
    text = evaluation_table(report(row(fps_published=12.34, fps_user=10.0), fps={}, notes=["be careful"],
                                   by_age={"frames": 7, "miou": [0.5, 0.4]}))
    assert "12.3" in text and "FPS published: calls of the backend" in text and "note: be careful" in text
    assert "mIoU of 7 frames" in text and "40.00" in text


def test_a_row_names_its_schedule():
    assert schedule_of(row(mode="async", delay=2)) == Schedule("async", interval=2, delay=2)


def test_the_rule_of_the_input_size_is_told():
    text = evaluation_table(report(row()))
    assert "network input about 48x85 pixels in multiples of 32, as live" in text
    models = [{**report()["models"][0], "exact_size": True}]
    assert "network input 48x85 exactly" in evaluation_table(report(row(), models=models))


def test_rows_that_the_live_pipeline_does_not_have_are_marked():
    lines = evaluation_table(report(row(mode="async", delay=4, keyframes_too_soon=3), row())).splitlines()
    assert "K = 2 *" in lines[4] and "*" not in lines[5] and sum(line.startswith("*: keyframes come") for line in lines) == 1
    assert "*" not in evaluation_table(report(row()))
