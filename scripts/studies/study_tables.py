#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the study in docs/study.md, from the reports of `dcfm evaluate`:

scripts/studies/study_tables.py REPORTS      REPORTS/<name>/report.json, named as in
scripts/studies/camvid_study.sh
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean

INTERVALS, THRESHOLDS = (1, 2, 4, 6, 8), (0.24, 0.32, 0.4)


def report(folder: Path, name: str) -> dict | None:
    file = folder / name / "report.json"
    return json.loads(file.read_text()) if file.is_file() else None


def row(found: dict, mode: str, interval=None, threshold=None, delay=0) -> dict:
    """Of masks as published."""
    wanted = (mode, interval, threshold, delay, "none")
    return next(
        r
        for r in found["rows"]
        if (r["mode"], r["interval"], r["threshold"], r["delay"], r["alignment"]) == wanted
    )


def cells(found: list[dict], **which) -> list[str]:
    """mIoU, mVC8 and mVC16 in per cent: the mean over seeds, and mIoU of each."""
    rows = [row(one, **which) for one in found]
    each = " / ".join(f"{100 * r['miou']:.1f}" for r in rows)
    return [
        f"{100 * mean(r['miou'] for r in rows):.1f}" + (f" ({each})" if len(rows) > 1 else ""),
        *(f"{100 * mean(r[key] for r in rows):.1f}" for key in ("mvc8", "mvc16")),
        f"{mean(r['keyframe_rate'] for r in rows):.2f}",
    ]


def table(title: str, lines: list[list[str]], head: list[str]) -> None:
    print(f"\n{title}\n\n| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for line in lines:
        print("| " + " | ".join(line) + " |")


def main(folder: Path) -> None:
    reports = {
        path.parent.name: report(folder, path.parent.name) for path in sorted(folder.glob("*/report.json"))
    }

    def seeds(name: str) -> list[dict]:
        return [reports[f"{name}_{seed}"] for seed in (0, 1) if f"{name}_{seed}" in reports]

    head = ["", "mIoU", "mVC8", "mVC16", "keyframes per frame"]
    for title, name in (("(a) DCFM", "dcfm"), ("(b) without consistency loss", "no_consistency")):
        if not (found := seeds(name)):
            continue
        lines = []
        if reference := seeds("per_frame"):
            lines.append(["per frame", *cells(reference, mode="per_frame", interval=1)])
        for mode, delay in (("two_sided", 0), ("causal", 0), ("async", 2)):
            label = mode.replace("_", "-") + (f", delay {delay}" if delay else "")
            lines += [
                [f"{label}, K = {k}", *cells(found, mode=mode, interval=k, delay=delay)] for k in INTERVALS
            ]
            lines += [
                [f"{label}, AKS {t}", *cells(found, mode=mode, threshold=t, delay=delay)] for t in THRESHOLDS
            ]
        table(title, lines, head)
    names = [name for name in ("dcfm_0", "no_key_shallow", "no_nonkey_shallow") if name in reports]
    table(
        "(c) shallow feature, two-sided: mIoU on keyframes / other frames / all",
        [
            [
                name,
                *(
                    "{:.1f} / {:.1f} / {:.1f}".format(
                        *(
                            100 * row(reports[name], "two_sided", k)[key]
                            for key in ("miou_keyframes", "miou_other_frames", "miou")
                        )
                    )
                    for k in INTERVALS[1:]
                ),
            ]
            for name in names
        ],
        ["", *(f"K = {k}" for k in INTERVALS[1:])],
    )
    names = [name for name in ("dcfm_0", "radius_1", "all_shallow") if name in reports]
    table(
        "(d) radius of training, and all shallow channels: mIoU by age of the common feature",
        [
            [name, *(f"{100 * value:.1f}" for value in reports[name]["by_age"]["miou"]["none"])]
            for name in names
        ],
        ["age", *map(str, range(11))],
    )
    names = [
        name
        for name in ("scratch_all_drives", "scratch_other_drives", "scratch_no_consistency")
        if name in reports
    ]
    table(
        "from scratch, without the drive of the val sequence, without consistency loss: mIoU / mVC8",
        [
            [
                name,
                *(
                    "{:.1f} / {:.1f}".format(
                        *(100 * row(reports[name], mode, k)[key] for key in ("miou", "mvc8"))
                    )
                    for mode in ("two_sided", "causal")
                    for k in (1, 2, 4, 8)
                ),
            ]
            for name in names
        ],
        ["", *(f"{mode} K = {k}" for mode in ("two-sided", "causal") for k in (1, 2, 4, 8))],
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
