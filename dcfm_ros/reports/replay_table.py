# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `dcfm bag evaluate` prints of its report."""

from __future__ import annotations

from dcfm_ros.reports.text import aligned, number, percent

_SHARES = (
    ("mIoU", "miou"),
    ("mIoU_all", "miou_all"),
    ("wIoU", "wiou"),
    ("mVC8", "mvc8"),
    ("mVC16", "mvc16"),
    ("mIoU key", "miou_keyframes"),
    ("mIoU other", "miou_other_frames"),
)


def replay_table(report: dict) -> str:
    """Lines of text; figures that there are none of are left out."""
    bag, model, rows = report["bag"], report["model"], report["rows"]
    labelled = any(row["labelled_frames"] for row in rows)
    lines = [
        f"{bag['path']}: {bag['duration_s']:g} s",
        f"{model['name']} ({model['architecture']}, {model['backbone']}, {model['backend']} on "
        f"{model['device']}, {model['precision']}), mode {report['mode']}",
        "",
        *_cameras(report),
        "",
    ]
    header = [
        "",
        "frames",
        "keyframes",
        "per frame",
        "every",
        "age mean",
        "max",
        "steady8",
        "flicker",
        "agreement",
    ]
    lines += aligned([header, *(_row(row) for row in rows)])
    if labelled:
        shares = [(title, name) for title, name in _SHARES if any(row[name] is not None for row in rows)]
        lines += [
            "",
            *aligned(
                [
                    ["", "labelled", *(title for title, _ in shares)],
                    *(
                        [
                            row["name"],
                            str(row["labelled_frames"]),
                            *(percent(row[name]) for _, name in shares),
                        ]
                        for row in rows
                    ),
                ]
            ),
        ]
    times = report["times_ms"]
    motion = times["motion"]["p50"]  # a per-frame model has none
    lines += [
        "",
        f"times      {'' if motion is None else f'motion p50 {number(motion)} ms; '}shallow p50 "
        f"{number(times['shallow']['p50'])}, p99 {number(times['shallow']['p99'])} ms; deep p50 "
        f"{number(times['encode']['p50'])}, p99 {number(times['encode']['p99'])} ms; image in to mask out "
        f"p50 {number(times['latency']['p50'])}, p99 {number(times['latency']['p99'])} ms; "
        f"{number(report['frames_per_s'])} frames/s in all",
        "per cent; ages of the common feature in frames; steady8: of pixels that stand still over 8 frames "
        "those whose class does; flicker: pixels per frame whose class changes and returns within 3 frames; "
        "agreement: with `per frame`, the same model with every frame a keyframe",
    ]
    return "\n".join(lines + [f"note: {note}" for note in report["notes"]])


def _cameras(report: dict) -> list[str]:
    rows = [["camera", "images", "masks", "skipped", "labelled", "size", "rate"]]
    for camera in report["cameras"]:
        rows.append(
            [
                camera["topic"],
                str(camera["images"]),
                str(camera["masks"]),
                str(sum(camera["skipped"].values())),
                str(camera["labelled"]),
                " ".join(f"{width}x{height}" for width, height in camera["sizes"]) or "-",
                "-" if camera["rate_hz"] is None else f"{camera['rate_hz']:.1f} Hz",
            ]
        )
    return aligned(rows)


def _row(row: dict) -> list[str]:
    age, every = row["feature_age_frames"], row["mean_keyframe_interval"]
    return [
        row["name"],
        str(row["frames"]),
        str(row["keyframes"]),
        number(row["keyframe_rate"], 3),
        number(every),
        number(age["mean"]),
        "-" if age["max"] is None else str(age["max"]),
        percent(row["steady8"]),
        percent(row["flicker"]),
        percent(row["agreement"]),
    ]
