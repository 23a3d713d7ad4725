# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Report of a recorded live run: figures and pictures of completeness, quality and latency."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.model.class_map import palette_table
from dcfm_ros.motion.track import MotionKind
from dcfm_ros.pipeline.overlay import blend
from dcfm_ros.reports.contact_sheet import Tile, Timeline, contact_sheet
from dcfm_ros.reports.machine import cpu_name
from dcfm_ros.reports.png import write_png
from dcfm_ros.reports.video_writer import VideoWriter
from dcfm_ros.ros.tools.recording import Recording
from dcfm_ros.rounding import percentiles, rounded
from dcfm_ros.sources.open import VideoSource
from dcfm_ros.stamps import NS_PER_S

EVERY_FRAME = "every frame"  # the mode of a per-frame model, which has no keyframes, whatever was requested
REPORT, VIDEO, SHEET = "report.json", "overlay.mp4", "overlay.png"  # files of a report
_TILES = 12


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run, which the recording does not contain."""

    source: str
    model: str
    backend: str
    mode: str  # async, sync, two_sided or EVERY_FRAME
    rate_hz: float
    threshold: float
    frame_id: str
    class_names: tuple[str, ...]
    class_colors: tuple[tuple[int, int, int], ...]


def live_report(recording: Recording, source: VideoSource, settings: RunSettings) -> dict:
    """Return the figures of a run. A sent frame without a mask counts as completely wrong in the IoUs, which
    cover all labelled frames.

    A per-frame model has no keyframe figures; its `encode_ms` is the time of the whole network.
    """
    matrix = ConfusionMatrix(len(settings.class_names))
    latency, mismatches, matched, labelled, cuts, cuts_requested = [], 0, 0, 0, 0, 0
    for image, mask in recording.by_sent():
        truth = source.frame(image["index"])
        pixels = None
        if mask is not None:
            matched += 1
            pixels = recording.pixels(mask)
            latency.append((mask["received_ns"] - image["published_ns"]) / 1e6)
            if (
                pixels is None
                or pixels.shape != truth.image.shape[:2]
                or mask["frame_id"] != settings.frame_id
            ):
                mismatches, pixels = mismatches + 1, None
        if truth.is_cut and image is not recording.sent[0]:
            cuts += 1
            cuts_requested += bool(recording.info.get(image["stamp_ns"], {}).get("is_keyframe"))
        if truth.label is not None:
            labelled += 1
            matrix.add_missing(truth.label) if pixels is None else matrix.add(pixels, truth.label)
    mismatches += len(recording.masks) - matched  # a mask whose stamp was never sent, or a second one
    stamps = [mask["stamp_ns"] for mask in recording.masks]
    ages = [entry["feature_age_frames"] for entry in recording.info.values()]
    intervals = [event["interval_frames"] for event in recording.keyframes if event["interval_frames"] > 0]
    span_s = (
        (recording.masks[-1]["received_ns"] - recording.masks[0]["received_ns"]) / NS_PER_S
        if len(stamps) > 1
        else 0.0
    )
    report = {
        "source": settings.source,
        "model": settings.model,
        "backend": settings.backend,
        "mode": settings.mode,
        "size": [source.width, source.height],
        "rate_hz": settings.rate_hz,
        "cpu": cpu_name(),
        "frames_sent": len(recording.sent),
        "masks_received": len(recording.masks),
        "header_mismatches": mismatches,
        "out_of_order": sum(later < earlier for earlier, later in zip(stamps, stamps[1:])),
        "mask_hz": round((len(stamps) - 1) / span_s, 2) if span_s else 0.0,
        "hard_cuts": cuts,
        "latency_ms": percentiles(latency, (50, 95, 99)),
        "shallow_ms": percentiles([entry["shallow_ms"] for entry in recording.info.values()], (50, 99)),
        "encode_ms": percentiles([event["encode_ms"] for event in recording.keyframes], (50, 99)),
        "labelled_frames": labelled,
    }
    if settings.mode != EVERY_FRAME:
        report |= {
            "keyframes": len(recording.keyframes),
            "mean_keyframe_interval": _mean(intervals),
            "keyframe_reasons": dict(Counter(event["reason"] for event in recording.keyframes)),
            "hard_cuts_requested": cuts_requested,
            "feature_age_frames": {"mean": round(float(np.mean(ages)), 2), "max": max(ages)}
            if ages
            else None,
            "alignments": dict(Counter(entry["alignment"] for entry in recording.info.values())),
            "motion_px": _mean(
                [
                    entry["motion_px"]
                    for entry in recording.info.values()
                    if entry["alignment"] == MotionKind.FLOW.value
                ]
            ),
            "motion_ms": percentiles([entry["motion_ms"] for entry in recording.info.values()], (50, 99)),
        }
    if matrix.counts.any():
        iou = matrix.iou()
        report["miou"] = round(matrix.miou, 4)
        report["per_class_iou"] = {name: rounded(value, 4) for name, value in zip(settings.class_names, iou)}
    return report


def _mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 2) if values else None


def write_pictures(
    recording: Recording, source: VideoSource, settings: RunSettings, folder: Path, title: str
) -> None:
    """Write `overlay.mp4`, one picture per sent frame, and `overlay.png`, a contact sheet with legend and
    timeline."""
    table = palette_table(dict(enumerate(settings.class_colors)))
    per_frame = settings.mode == EVERY_FRAME
    reasons = {} if per_frame else {event["stamp_ns"]: event["reason"] for event in recording.keyframes}
    shown = set(np.linspace(0, len(recording.sent) - 1, _TILES).round().astype(int).tolist())
    tiles, cuts = [], []
    with VideoWriter(folder / VIDEO, source.width, source.height, settings.rate_hz) as video:
        for number, (image, mask) in enumerate(recording.by_sent()):
            frame = source.frame(image["index"])
            pixels = None if mask is None else recording.pixels(mask)
            picture = frame.image
            if pixels is not None and pixels.shape == picture.shape[:2]:
                picture = blend(picture, pixels, table, 0.55)
            if picture.shape[:2] != (source.height, source.width):
                picture = cv2.resize(picture, (source.width, source.height))
            video.add(picture)
            if frame.is_cut and number:
                cuts.append(number)
            if number in shown:
                info = recording.info.get(image["stamp_ns"], {})
                tiles.append(
                    Tile(
                        picture,
                        number,
                        reasons.get(image["stamp_ns"]),
                        info.get("feature_age_frames"),
                        info["motion_px"] if info.get("alignment") == MotionKind.FLOW.value else None,
                    )
                )
    number_of = {image["stamp_ns"]: number for number, image in enumerate(recording.sent)}
    infos = [recording.info.get(image["stamp_ns"], {}) for image in recording.sent]
    timeline = Timeline(
        score=[entry.get("score", np.nan) for entry in infos],
        threshold=None if per_frame else settings.threshold,
        keyframes=[(number_of[stamp], reason) for stamp, reason in reasons.items() if stamp in number_of],
        cuts=cuts,
        age=[entry.get("feature_age_frames", np.nan) for entry in infos],
    )
    sheet = contact_sheet(tiles, list(zip(settings.class_names, settings.class_colors)), timeline, title)
    write_png(folder / SHEET, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def summary_lines(report: dict) -> list[str]:
    """Format the report for the terminal."""
    latency, shallow, encode = report["latency_ms"], report["shallow_ms"], report["encode_ms"]
    per_frame = report["mode"] == EVERY_FRAME
    rate = f"{report['mask_hz']} Hz, " if report["mask_hz"] else ""  # of one mask there is none
    lines = [
        f"masks      {report['masks_received']} of {report['frames_sent']} frames, {rate}"
        f"{report['header_mismatches']} header mismatches, {report['out_of_order']} out of order",
        f"latency    p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms "
        "(camera publish to mask received, over DDS)",
    ]
    if per_frame:
        lines.append(
            f"network    p50 {encode['p50']} ms, p99 {encode['p99']} ms, on every frame: a per-frame model"
        )
    else:
        age = report["feature_age_frames"] or {"mean": 0, "max": 0}
        interval = report["mean_keyframe_interval"]
        every = "" if interval is None else f", every {interval} frames"
        lines += [
            f"shallow    p50 {shallow['p50']} ms, p99 {shallow['p99']} ms; "
            f"deep p50 {encode['p50']} ms, p99 {encode['p99']} ms",
            f"keyframes  {report['keyframes']}{every}, "
            + ", ".join(f"{count} {reason}" for reason, count in report["keyframe_reasons"].items())
            + f"; feature age mean {age['mean']}, max {age['max']} frames",
            f"alignment  {report['alignments'].get('flow', 0)} masks with a common feature that moved along, "
            f"{report['motion_px'] or 0} pixels in the mean; motion p50 {report['motion_ms']['p50']} ms, "
            f"p99 {report['motion_ms']['p99']} ms",
        ]
    if report["hard_cuts"] and not per_frame:
        lines.append(
            f"hard cuts  {report['hard_cuts']}, a keyframe requested on {report['hard_cuts_requested']} of "
            f"them"
        )
    if "miou" in report:
        lines.append(f"mIoU       {report['miou']:.3f} over {report['labelled_frames']} labelled frames")
        lines += [
            f"           {name:<12} {'not in the labels' if value is None else format(value, '.3f')}"
            for name, value in report["per_class_iou"].items()
        ]
    return lines


def save_report(report: dict, folder: Path) -> None:
    (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n")
