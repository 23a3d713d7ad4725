# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The study of scale, with tiny networks and images and few rounds."""

import json

import cv2
import pytest
from studies import scale
from studies.scale_points import AXES, BASE, Point, points, value

TINY = Point("mit_b0", 3, (48, 64), (32, 64))


def test_one_thing_grows():
    fields = {
        "image": {"camera"},
        "network": {"camera", "network"},
        "classes": {"classes"},
        "cameras": {"cameras"},
        "backbone": {"backbone"},
    }
    for axis, point in points():
        different = {name for name in vars(BASE) if getattr(point, name) != getattr(BASE, name)}
        assert different <= fields[axis]
    assert [value(axis, point) for axis, point in points(("image",))][:2] == [240, 360]
    assert {axis for axis, _ in points()} == set(AXES)


@pytest.mark.slow
def test_the_report_and_its_figure(tmp_path, monkeypatch):
    tiny = [("cameras", TINY), ("cameras", Point(**{**vars(TINY), "cameras": 2})), ("classes", TINY)]
    monkeypatch.setattr(scale, "points", lambda axes: tiny)
    file, figure = tmp_path / "scale.json", tmp_path / "scale.png"
    how = ["--cores", "1", "--precision", "f32", "--seconds", "0.01"]
    scale.main([*how, "--json", str(file), "--figure", str(figure)])
    report = json.loads(file.read_text())
    assert [(point["axis"], point["value"], point["cores"]) for point in report["points"]] == [
        ("cameras", 1, 1),
        ("cameras", 2, 1),
        ("classes", 3, 1),
    ]
    one, two, same = report["points"]
    assert one["frame"] == same["frame"] and one["keyframe"] == same["keyframe"]  # measured once
    for point in report["points"]:
        assert point["input"] == [32, 64] and point["precision"] == "f32"
        assert point["frame"]["samples"] >= 3 and point["keyframe"]["samples"] >= 3
    assert 0 < one["frame"]["median_ms"] < two["frame"]["median_ms"]
    assert report["machine"]["cpu"] and report["versions"]["openvino"]
    assert cv2.imread(str(figure)).shape == (1080, 1350, 3)
    figure.unlink()
    scale.main(["--from", str(file), "--figure", str(figure)])  # measures nothing
    assert figure.is_file()


def test_more_cores_than_there_are(capsys, monkeypatch):
    monkeypatch.setattr(scale.os, "sched_getaffinity", lambda process: {0, 1})
    with pytest.raises(SystemExit):
        scale.main(["--cores", "1,4"])
    assert "cores 4: this process may use 2, use 1 to 2" in capsys.readouterr().err
