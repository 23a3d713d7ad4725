# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of many recordings."""

from dcfm_ros.reports.fleet_table import fleet_table

FIGURES = {"frames": 100, "keyframe_rate": 0.25, "miou": None, "steady8": 0.987654, "flicker": 0.0012}
SUMMARY = {
    "command": "evaluate",
    "seconds": 12.3,
    "workers": 2,
    "ray": "",
    "frames_per_s": 31.0,
    "model": {"name": "tiny"},
    "bags": [
        {
            "name": "a",
            "path": "in/a",
            "status": "done",
            "reason": "",
            "tries": 1,
            "page": "a/report.html",
            **FIGURES,
            "frames_per_s": 40.04,
            "notes": ["/camera: 3 of 103 images skipped"],
        },
        {
            "name": "long_name",
            "path": "in/long_name",
            "status": "failed",
            "reason": "it is empty",
            "tries": 2,
            "page": None,
        },
    ],
    "rows": [{"name": "DCFM", **FIGURES}, {"name": "per frame", **FIGURES}],
    "counts": {"done": 1, "failed": 1},
}


def test_table():
    assert fleet_table(SUMMARY).splitlines() == [
        "recording     frames  frames/s  per frame  steady8  flicker            status",
        "a                100      40.0      0.250    98.77     0.12              done",
        "long_name          -         -          -        -        -            failed",
        "all together     100      31.0      0.250    98.77     0.12  1 done, 1 failed",
        "",
        "12.3 s with 2 workers; per frame: keyframes per frame; all together, frames/s are of the whole "
        "time; the rest is what one run over all would have given, in per cent",
        "failed: long_name: it is empty",
        "note: a: /camera: 3 of 103 images skipped",
    ]


def test_nothing_at_all():
    nothing = {
        **SUMMARY,
        "bags": SUMMARY["bags"][1:],
        "rows": [],
        "frames_per_s": None,
        "workers": 1,
        "ray": "local",
    }
    lines = fleet_table(nothing).splitlines()
    assert lines[0].split() == ["recording", "status"] and lines[4].startswith("12.3 s with 1 worker on Ray;")
