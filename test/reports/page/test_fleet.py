# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of many recordings: text from outside stays text, and nothing is fetched from anywhere."""

import re

import pytest

from dcfm_ros.reports.page.fleet import write_index

EVIL = "<script>alert(1)</script>"
FIGURES = {"frames": 12345, "keyframe_rate": 0.25, "miou": 0.5, "steady8": None, "flicker": 0.0012}


@pytest.fixture
def page(tmp_path):
    def write(**changes):
        summary = {
            "command": "evaluate",
            "seconds": 75.0,
            "workers": 2,
            "ray": "",
            "frames_per_s": 31.0,
            "model": {"name": EVIL, "backend": "torch", "device": "cpu", "precision": "f32"},
            "bags": [
                {
                    "name": EVIL,
                    "path": f"in/{EVIL}",
                    "status": "done",
                    "reason": "",
                    "tries": 1,
                    "page": f"{EVIL}/report.html",
                    **FIGURES,
                    "frames_per_s": 40.04,
                    "notes": [EVIL],
                },
                {
                    "name": "b",
                    "path": f"in/b{EVIL}",
                    "status": "failed",
                    "reason": EVIL,
                    "tries": 2,
                    "page": None,
                },
            ],
            "rows": [{"name": "DCFM", **FIGURES}, {"name": "per frame", **FIGURES}],
            "counts": {"done": 1, "failed": 1},
            **changes,
        }
        write_index(tmp_path / "index.html", summary)
        return (tmp_path / "index.html").read_text()

    return write


def test_text_from_outside_stays_text(page):
    text = page()
    assert "<script" not in text and text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6
    assert 'href="./%3Cscript%3Ealert%281%29%3C/script%3E/report.html"' in text


def test_nothing_is_fetched(page):
    text = page()
    assert not re.search(r"https?:|src=|@import|url\(", text)
    assert re.findall(r'href="([^"]*)"', text) == [
        "data:,",
        "./%3Cscript%3Ealert%281%29%3C/script%3E/report.html",
    ]


def test_figures(page):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page().split("</style>")[1]))
    assert "1 min 15 s with 2 workers" in text and "12 345" in text
    assert "50.00" in text and "failed 2 times: &lt;script" in text
    assert "steady8" not in text  # of no recording


def test_nothing_at_all(page):
    failed = {"name": "b", "path": "b", "status": "failed", "reason": "it is empty", "tries": 1, "page": None}
    text = page(bags=[failed], rows=[], counts={"failed": 1}, frames_per_s=None, model=None)
    assert (
        "1 recording evaluated" in text and "it is empty" in text and "mIoU" not in text.split("</style>")[1]
    )
