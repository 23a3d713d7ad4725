# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One line of what a step has measured, of its figures."""

from __future__ import annotations


def line(name: str, figures: dict | None, output: str) -> str:
    """For people; empty where there is nothing to tell."""
    if name == "tests":
        return next(
            (
                text.strip("= ")
                for text in reversed(output.splitlines())
                if "passed" in text or "skipped" in text
            ),
            "",
        )
    if not figures:
        return ""
    if "rows" in figures and "kernels" in figures:
        return _benchmark(figures)
    if name == "evaluation":
        return _evaluation(figures)
    return figures.get("line", "")


def _benchmark(report: dict) -> str:
    rows = {row["key"]: row for row in report["rows"]}
    parts = [
        f"{what} {rows[key]['median_ms']:.2f} ms (p99 {rows[key]['p99_ms']:.2f})"
        for key, what in (("shallow", "shallow frame"), ("keyframe", "keyframe"))
        if key in rows
    ]
    parts += [
        f"{ratio['ratio']:.1f} times Hugging Face's, eager"
        for ratio in report["ratios"]
        if (ratio["slow"], ratio["fast"]) == ("transformers", "shallow")
    ]
    parts += [
        f"p99 beside keyframes {of['ratio']:.2f} times the median without"
        for of in report["guarantees"]
        if of["pace"] == "back to back"
    ]
    parts += [f"{part['of']} {part['total_ms']:.2f} ms in kernels" for part in report["kernels"]]
    return ", ".join(parts)


def _evaluation(report: dict) -> str:
    # None where no clip is as long as the greatest age
    by_age = (report["by_age"] or {"miou": {"flow": []}})["miou"]["flow"]
    found = [f"{100 * by_age[age]:.2f} at age {age}" for age in (0, 1, 2, 5, 10) if age < len(by_age)]
    found += [
        f"{100 * row['miou']:.2f} with a keyframe every {row['interval']} frames" for row in report["rows"]
    ]
    return f"{report['data']['name']}: mIoU {', '.join(found)}"
