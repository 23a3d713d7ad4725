# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots are made of what a report has."""

from types import SimpleNamespace

import cv2
import pytest

from dcfm_ros.evaluation import plots as module
from dcfm_ros.evaluation.plots import write_plots
from dcfm_ros.evaluation.schedule import ALIGNMENTS


def row(mode="causal", interval=2, threshold=None, delay=0, rate=0.5, alignment="none", **values):
    return {
        "model": "runs/mine",
        "mode": mode,
        "delay": delay,
        "interval": interval,
        "threshold": threshold,
        "alignment": alignment,
        "keyframe_rate": rate,
        "miou": 0.5,
        "mvc8": 0.8,
        "per_class_iou": {"sky": 0.9, "road": 0.1, "tree": None},
        **values,
    }


def report(*rows, ages=(0.5, 0.4), ways=("none",)):
    return {
        "models": [{"name": "runs/mine", "architecture": "dcfm"}],
        "data": {"name": "my data", "labelled_frames": 9},
        "rows": list(rows),
        "by_age": {"frames": 7, "miou": {way: list(ages) for way in ways}} if ages else None,
    }


def written(folder):
    return sorted(path.name for path in folder.glob("*.png"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        [row()],
        [row(interval=None, threshold=0.3)],
        [row("per_frame", 1, rate=1.0)],
        [
            row("per_frame", 1, rate=1.0),
            row("two_sided", 1, rate=1.0),
            row("two_sided"),
            row("causal", None, 0.3),
            *(row("async", delay=delay) for delay in (1, 2, 4, 8, 16)),
        ],
    ],
)
def test_all_pictures_are_written_and_not_blank(tmp_path, rows):
    write_plots(report(*rows), tmp_path)
    assert written(tmp_path) == ["accuracy.png", "age.png", "consistency.png", "per_class.png"]
    for path in tmp_path.iterdir():
        assert cv2.imread(str(path)).std() > 5


@pytest.mark.slow
@pytest.mark.parametrize("per_frame", [[], [row("per_frame", 1, rate=1.0)]])
@pytest.mark.parametrize("ways", [("none",), ("flow", "none"), ("logits", "flow", "none")])
def test_each_alignment_has_a_panel_and_a_line(tmp_path, monkeypatch, ways, per_frame):
    """In the order of ALIGNMENTS; a per-frame network, which has nothing to align, is in all of them."""
    figures, write = {}, module.FigureCanvasAgg
    monkeypatch.setattr(
        module,
        "FigureCanvasAgg",
        lambda figure: SimpleNamespace(
            print_png=lambda path: (figures.update({path.stem: figure}), write(figure).print_png(path))
        ),
    )
    rows = [
        row(
            interval=None if number == 2 else number,
            threshold=0.3 if number == 2 else None,
            rate=1 / number,
            miou=0.5 - 0.01 * number,
            alignment=way,
        )
        for way in ways
        for number in (1, 2, 4)
    ]
    write_plots(report(*per_frame, *rows, ways=ways), tmp_path)
    names = [name for way, name in ALIGNMENTS.items() if way in ways]
    for picture in ("accuracy", "consistency"):
        panels = figures[picture].axes
        assert [text.get_text() for panel in panels for text in panel.texts] == (
            names if len(ways) > 1 else []
        )
        assert len(panels) == len(ways) and all(len(panel.lines) == 2 + len(per_frame) for panel in panels)
    (age,) = figures["age"].axes
    lines = [line for line in age.lines if not line.get_label().startswith("per frame")]
    assert [line.get_label() for line in lines] == [ALIGNMENTS[way] for way in ways]
    assert len({line.get_linestyle() for line in lines}) == len(ways)
    (classes,) = figures["per_class"].axes
    # of the first alignment: every frame a keyframe, and one more
    assert len(classes.containers) == 2 + len(per_frame)
    narrow, wide = (
        cv2.imread(str(tmp_path / "age.png")).shape[1],
        cv2.imread(str(tmp_path / "accuracy.png")).shape[1],
    )
    assert narrow == 1170 and wide == {1: 1170, 2: 1482, 3: 2028}[len(ways)]


def test_what_has_no_data_is_left_out_and_old_pictures_go(tmp_path):
    for name in ("consistency.png", "age.png"):
        (tmp_path / name).write_bytes(b"old")
    write_plots(report(row(mvc8=None), ages=()), tmp_path)
    assert written(tmp_path) == ["accuracy.png", "per_class.png"]


@pytest.mark.slow
def test_frames_without_a_labelled_pixel_have_no_curve(tmp_path):
    (tmp_path / "age.png").write_bytes(b"old")
    write_plots(report(row(), row("per_frame", 1, rate=1.0), ages=(None, None)), tmp_path)
    assert written(tmp_path) == ["accuracy.png", "consistency.png", "per_class.png"]


def test_labels_that_are_void_everywhere_leave_no_accuracy(tmp_path):
    void = {"miou": None, "per_class_iou": {"sky": None}}
    write_plots(report(row(**void), row("per_frame", 1, rate=1.0, **void), ages=(None, None)), tmp_path)
    assert written(tmp_path) == ["consistency.png"]


@pytest.mark.slow
def test_many_classes_fit(tmp_path):
    names = {f"class {number}": number / 124 for number in range(124)}
    write_plots(report(*(row(interval=k, rate=1 / k, per_class_iou=names) for k in (1, 2, 4))), tmp_path)
    assert cv2.imread(str(tmp_path / "per_class.png")).shape[0] < 5000


@pytest.mark.slow
def test_a_dollar_in_a_name_is_a_letter(tmp_path):
    """And not the beginning of a formula, which may be wrong: an error after all the work."""
    write_plots(report(row(per_class_iou={"$_{$": 0.5, "\\frac": 0.5})), tmp_path)
    assert "per_class.png" in written(tmp_path)
