# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a benchmark as text of at most 100 columns."""

from __future__ import annotations

import textwrap

from dcfm_ros.benchmark.options import DCFM, GUARANTEE, PER_FRAME, SCHEDULES
from dcfm_ros.reports.text import aligned

_TITLES = {
    PER_FRAME: "per frame",
    DCFM: "DCFM",
    SCHEDULES: "DCFM under a schedule, frames back to back",
    GUARANTEE: "DCFM, async: do keyframes hold frames up?",
}
_COLUMNS = 100
_KERNEL = 80  # letters of a kernel's name
_FEW = 100  # samples below which a 99th percentile is hardly more than the greatest


def benchmark_table(report: dict) -> str:
    """What `dcfm benchmark` prints of its report."""
    parts = [
        _head(report),
        _rows(report),
        _guarantees(report),
        _ratios(report),
        _steps(report),
        _upsampling(report),
        _kernels(report),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _head(report: dict) -> list[str]:
    model, backend, machine = report["model"], report["backend"], report["machine"]
    camera, size = ("{}x{}".format(*shape) for shape in (report["camera"], model["input"]))
    gpu = f"; {machine['gpu']}" if machine["gpu"] else ""
    lines = [
        report["command"],
        f"{model['name']}: {model['backbone']}, {model['classes']} classes; height x width: camera {camera}, "
        f"network input {size}",
        f"weights: {model['weights']}",
        f"{100 * model['border_share']:.0f} % of the cells of DCFM's logits are border cells",
        f"images: {report['source']['name']}, {report['source']['frames']} frames to and fro",
        f"{backend['name']} on {backend['device']}, {backend['precision']}; {machine['cpu']}{gpu}; "
        f"PyTorch with {machine['torch_threads']} threads",
        ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
    ]
    if report["rounds"]:
        lines.append(f"{report['rounds']} rounds in {report['seconds']:.0f} s, everyone in turn")
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, _COLUMNS, subsequent_indent="  ", break_on_hyphens=False)
    ]


def _rows(report: dict) -> list[str]:
    if not (rows := report["rows"]):
        return []
    cells = [["image in to mask out, ms", "median", "p99", "mean", "frames/s", "keyframes", "samples"]]
    for group, title in _TITLES.items():
        members = [row for row in rows if row["group"] == group]
        if members:
            cells.append([title] + 6 * [""])
        for row in members:
            precision = f", {row['precision']}" if row["precision"] != report["backend"]["precision"] else ""
            cells.append(
                [
                    f"  {row['what']}{precision}",
                    _ms(row["median_ms"]),
                    _ms(row["p99_ms"]),
                    _ms(row["mean_ms"]),
                    f"{row['frames_per_s']:.1f}",
                    _keyframes(row),
                    f"{row['samples']}{'!' * (row['samples'] < _FEW)}",
                ]
            )
    lines = [*aligned(cells), "keyframes: per frame; in async those finished per second"]
    if any(row["samples"] < _FEW for row in rows):
        lines.append(f"!: of fewer than {_FEW} samples p99 says little; give more --seconds")
    return lines


def _keyframes(row: dict) -> str:
    if row["group"] == PER_FRAME:
        return ""
    if row["mode"] == "async":
        return f"{row['keyframes_per_s']:.1f}/s"
    return f"{row['keyframes_per_frame']:.2f}"


def _guarantees(report: dict) -> list[str]:
    return [
        f"p99 with keyframes all the time, {of['pace']}: {of['ratio']:.2f} times the median with none "
        f"({_ms(of['encoding_p99_ms'])} and {_ms(of['alone_median_ms'])} ms)"
        for of in report["guarantees"]
    ]


def _ratios(report: dict) -> list[str]:
    whats = {row["key"]: row["what"] for row in report["rows"]}
    cells, lines = [["times faster", "", "rounds' quartiles"]], []
    for found in report["ratios"]:
        slow = "the fastest *" if found["fastest_per_frame"] else whats[found["slow"]]
        mean = ", mean" if found["of"] == "mean" else ""
        cells.append(
            [
                f"  {whats[found['fast']]}{mean}, than per frame, {slow}",
                f"{found['ratio']:.2f}",
                f"{found['low']:.2f} - {found['high']:.2f}",
            ]
        )
        if found["fastest_per_frame"]:
            lines = [f"*: of each round; over all it is: {whats[found['slow']]}"]
    return aligned(cells) + lines if len(cells) > 1 else []


def _steps(report: dict) -> list[str]:
    if not report["steps"]:
        return []
    cells = [["step by step, medians, ms", "shallow frame", "keyframe"]]
    cells += [
        [f"  {step['step']}", _ms(step["shallow_ms"]), _ms(step["keyframe_ms"])] for step in report["steps"]
    ]
    lines = aligned(cells)
    if slices := report["slices"]:
        lines.append(
            f"the deep path runs in {slices['number']} slices, the longest of {_ms(slices['longest_ms'])} ms"
        )
    if transfers := report["transfers"]:
        copies = ", ".join(f"{name} {_ms(value)} ms" for name, value in transfers.items())
        lines.append(f"transfers by themselves, in the steps above, too: {copies}")
    elif report["backend"]["device"] == "cpu":
        lines.append("transfers: none, all is in the memory of the CPU")
    return lines


def _upsampling(report: dict) -> list[str]:
    if not (rows := report["upsampling"]):
        return []
    layouts = [way["layout"] for way in rows[0]["torch"]]
    cells = [
        [
            "upsample-argmax, medians, ms",
            "borders",
            "ours",
            *(cell for name in layouts for cell in (name, "times")),
        ]
    ]
    for row in rows:
        cells.append(
            [
                f"  logits: {row['logits']}",
                f"{100 * row['border_share']:.0f} %",
                _ms(row["ours_ms"]),
                *(cell for way in row["torch"] for cell in (_ms(way["ms"]), f"{way['ratio']:.1f}")),
            ]
        )
    return [
        *aligned(cells),
        f"borders: border cells; {', '.join(layouts)}: interpolate and argmax in PyTorch, by layout",
    ]


def _kernels(report: dict) -> list[str]:
    lines = []
    for part in report["kernels"]:
        what = "operators" if report["backend"]["device"] == "cpu" else "kernels"
        if not part["kernels"]:
            lines.append(f"longest {what} of a {part['of']}: the profiler has recorded none")
            continue
        cells = [[f"longest {what} of a {part['of']}, of {_ms(part['total_ms'])} ms in all", "times", "ms"]]
        cells += [
            [f"  {_shortened(kernel['name'])}", f"{kernel['times']:.0f}", f"{kernel['ms']:.3f}"]
            for kernel in part["kernels"]
        ]
        lines += aligned(cells)
    return lines


def _shortened(name: str) -> str:
    return name if len(name) <= _KERNEL else f"{name[: _KERNEL - 3]}..."


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
