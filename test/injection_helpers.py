# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names that are none, as recordings and models may bring them, and pages made of them."""

from replay_page_helpers import moments, points, report, row

from dcfm_ros.reports.page.fleet import write_index
from dcfm_ros.reports.page.page import write_page

HARMLESS = "front"
NAMES = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' onmouseover='alert(1)",
    "` onclick=`alert(1)",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "]]><script>alert(1)</script><![CDATA[",
    "--><script>alert(1)</script><!--",
    "<!--<script>",
    "{{ 7 * 7 }}{% for x in range(9) %}",
    "${7*7}",
    "red; background: url(//example.com/x)",
    "&lt;b&gt; &#60;script&#62;",
    "a\0<script>b\0</script>",
    "line\n<script>\r\nalert(1)</script>\u2028x\u2029",
    "\u202e<script>\u2066txt.exe\u200f",
    "+ADw-script+AD4-alert(1)",  # UTF-7
    "<svg/onload=alert(1)>",
    "\ufeff\x1b[31m\x7f",
    "//example.com/page",
    "../../../etc/passwd",
    "x" * 5000,
]


def page_of(folder, name) -> str:
    """A page whose every text from outside is this name."""
    frame = moments()[0]
    write_page(
        folder / "report.html",
        report(
            bag={"path": f"/drives/{name}x", "duration_s": 1.0, "start_ns": 0},
            rows=[
                row(name=name, per_class_iou={name: 0.5}, keyframe_reasons={name: 3}, alignments={name: 1})
            ],
            cameras=[
                report()["cameras"][0]
                | {"camera": name, "topic": name, "skipped": {name: 1}, "skipped_examples": [name]}
            ],
            notes=[name],
            options={"data": name, "list": [name]},
            model={"name": name, "architecture": name, "backend": name},
            versions={"python": name},
            machine={"cpu": name},
            mode=name,
        ),
        [*points(5, name), *points(5, "other", reason=name)],
        [type(frame)(name, name, 1, 1.0, 0.5, frame.picture)],
        [(name, (1, 2, 3))],
        None,
    )
    return (folder / "report.html").read_text(encoding="utf-8")


def index_of(folder, name) -> str:
    done = {"frames": 9, "miou": 0.5, "frames_per_s": 1.0}
    write_index(
        folder / "index.html",
        {
            "command": "evaluate",
            "seconds": 75.0,
            "workers": 2,
            "ray": "",
            "frames_per_s": 31.0,
            "model": {"name": name, "backend": name, "device": name, "precision": name},
            "bags": [
                {
                    "name": name,
                    "path": name,
                    "status": "done",
                    "reason": "",
                    "tries": 1,
                    "page": f"{name}/report.html",
                }
                | done
                | {"notes": [name]},
                {
                    "name": name,
                    "path": f"in/{name}",
                    "status": name,
                    "reason": name,
                    "tries": 2,
                    "page": None,
                },
            ],
            "rows": [{"name": name, **done}],
            "counts": {"done": 1, "failed": 1},
        },
    )
    return (folder / "index.html").read_text(encoding="utf-8")
