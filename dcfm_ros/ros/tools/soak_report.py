# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Report of a soak run: losses by place, latency, and drift of latency and memory."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np

from dcfm_ros.pipeline.message_fields import MASK_DURATIONS
from dcfm_ros.rounding import percentiles, rounded
from dcfm_ros.stamps import NS_PER_S

_WARM_UP_S = 60.0  # upper limit; a tenth of shorter runs


def warm_up_s(seconds: float) -> float:
    return min(_WARM_UP_S, 0.1 * seconds)


@dataclass
class CameraRecord:
    """Record of one camera's masks, a few numbers each. Times are in ns of the monotonic clock, stamps in
    ns."""

    stamps: array = field(default_factory=lambda: array("q"))
    received: array = field(default_factory=lambda: array("q"))
    ages: array = field(default_factory=lambda: array("l"))  # of the common feature, frames
    ages_s: array = field(default_factory=lambda: array("d"))
    times: dict[str, array] = field(default_factory=lambda: {name: array("d") for name in MASK_DURATIONS})
    encode_ms: array = field(default_factory=lambda: array("d"))
    status: dict[str, str] = field(default_factory=dict)  # newest diagnostics
    reports: int = 0  # of diagnostics so far

    def mask(self, stamp_ns: int, received_ns: int) -> None:
        self.stamps.append(stamp_ns)
        self.received.append(received_ns)

    def info(self, fields: dict) -> None:
        """Add the information on a mask. fields: from `read_mask_info`"""
        self.ages.append(fields["feature_age_frames"])
        self.ages_s.append(fields["feature_age_s"])
        for name in MASK_DURATIONS:
            self.times[name].append(fields[name])


@dataclass
class ProcessRecord:
    """Samples of a process: seconds since the start, resident bytes, and cumulative CPU seconds."""

    seconds: array = field(default_factory=lambda: array("d"))
    resident: array = field(default_factory=lambda: array("d"))
    cpu_s: array = field(default_factory=lambda: array("d"))

    def add(self, seconds: float, resident: float, cpu_s: float) -> None:
        self.seconds.append(seconds)
        self.resident.append(resident)
        self.cpu_s.append(cpu_s)


def camera_report(record: CameraRecord, sent: dict[int, int]) -> dict:
    """Return the report of a camera.

    sent: publishing time by stamp, both in ns. Frames sent during the warm-up count for losses, not for
        latencies

    `lost_by_dds` were lost in transport. `not_taken` reached the node's queue and were overwritten by newer
    ones before the node took them. `dropped` and `refused` were taken but got no mask. `missing` have none
    although they were sent after the first frame with a mask, with which the warm-up starts: before it,
    networks are compiled for the cameras' size.
    """
    masks = dict(zip(record.stamps, record.received))
    first, last = min(sent.values(), default=0), max(sent.values(), default=0)
    seconds = max((last - first) / NS_PER_S, 1e-9)
    counters = ("received", "lost", "dropped", "failures", "resets", "keyframes")
    status = {name: int(record.status.get(name, 0)) for name in counters}
    refused = sum(int(value) for name, value in record.status.items() if name.startswith("refused_"))
    timed = [
        ((at - first) / NS_PER_S, (masks[stamp] - at) / 1e6)
        for stamp, at in sorted(sent.items())
        if stamp in masks
    ]
    when, latency = np.array(timed).reshape(-1, 2).T
    first_with_mask = min((at for stamp, at in sent.items() if stamp in masks), default=first)
    unsettled_s = (first_with_mask - first) / NS_PER_S
    settled = when >= unsettled_s + warm_up_s(seconds)
    inside = {name: _percentiles(values) for name, values in record.times.items()}
    return {
        "sent": len(sent),
        "received": status["received"],
        "lost_by_dds": status["lost"],
        "not_taken": len(sent) - status["received"] - status["lost"],
        "dropped": status["dropped"],
        "refused": refused,
        "failures": status["failures"],
        "resets": status["resets"],
        "masks": len(record.stamps),
        "seconds_to_first_mask": round(unsettled_s, 1),
        "missing": sum(at >= first_with_mask for at in sent.values()) - len(timed),
        "mask_share": round(len(timed) / len(sent), 4) if sent else None,
        "mask_hz": round(len(timed) / seconds, 2),
        "latency_ms": _percentiles(latency[settled]),
        "p99_by_minute_ms": [
            round(float(np.percentile(latency[when // 60 == minute], 99)), 1)
            for minute in np.unique(when // 60)
        ],
        "p99_drift": _drift(when[settled], latency[settled]),
        "inside_ms": inside,
        "outside_ms": round(float(np.median(latency[settled])) - within, 2)
        if settled.any() and (within := inside["latency_ms"]["p50"]) is not None
        else None,
        "convert_ms": float(record.status.get("convert_p50_ms", 0.0)),
        "publish_ms": float(record.status.get("publish_p50_ms", 0.0)),
        "keyframes": status["keyframes"],
        "keyframe_hz": round(status["keyframes"] / seconds, 2),
        "encode_ms": _percentiles(record.encode_ms),
        "feature_age_frames": max(record.ages, default=None),
        "feature_age_s": round(max(record.ages_s, default=0.0), 3),
    }


def process_report(record: ProcessRecord, frames: int) -> dict:
    """Return the report of a process. Growth of the resident memory after the warm-up: slope of the fitted
    line times the duration, relative to the mean."""
    seconds, resident = np.array(record.seconds), np.array(record.resident)
    if len(seconds) < 3:
        return {"resident_mb": None, "growth": None, "cpu_ms_per_frame": None}
    settled = seconds >= warm_up_s(seconds[-1])
    x, y = seconds[settled], resident[settled]
    growth = np.polyfit(x, y, 1)[0] * (x[-1] - x[0]) / y.mean() if len(x) > 2 else 0.0
    cpu_s = record.cpu_s[-1] - record.cpu_s[0]
    return {
        "resident_mb": round(float(resident[-1]) / 2**20, 1),
        "growth": round(float(growth), 4),
        "cpu_ms_per_frame": round(1e3 * cpu_s / frames, 2) if frames else None,
        "cpu_share": round(cpu_s / (seconds[-1] - seconds[0]), 3),
    }


def soak_table(report: dict) -> str:
    """Format the report for the terminal."""
    lines = [
        f"{report['model']}, backend {report['backend']}, mode {report['mode']}; {report['cpu']}",
        f"{len(report['cameras'])} camera(s), {report['camera']} {report['encoding']} at "
        f"{report['rate_hz']:g} Hz for {report['seconds']:g} s",
    ]
    for name, camera in report["cameras"].items():
        latency, encode = camera["latency_ms"], camera["encode_ms"]
        inside = camera["inside_ms"]
        lines += [
            "",
            f"{name or 'camera'}",
            f"  frames    {camera['sent']} sent, {camera['lost_by_dds']} lost by DDS, {camera['not_taken']} "
            f"not taken in time, {camera['dropped']} dropped by the segmenter, {camera['refused']} refused, "
            f"{camera['failures']} failed",
            f"  masks     {camera['masks']}, the first of a frame after {camera['seconds_to_first_mask']} s; "
            f"{camera['missing']} missing since then",
            f"  latency   p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms, "
            f"max {latency['max']} ms (camera publish to mask received)",
            f"  of which  preprocess {inside['preprocess_ms']['p50']}, motion {inside['motion_ms']['p50']}, "
            f"shallow {inside['shallow_ms']['p50']}, mask {inside['postprocess_ms']['p50']} ms; "
            f"convert {camera['convert_ms']}, publish {camera['publish_ms']} ms; "
            f"outside the segmenter {camera['outside_ms']} ms",
            f"  p99       by minute {', '.join(map(str, camera['p99_by_minute_ms']))} ms; last third against "
            f"first {_change(camera['p99_drift'])}",
            f"  keyframes {camera['keyframes']}, {camera['keyframe_hz']} per s, encode p50 {encode['p50']} "
            f"ms; oldest feature {camera['feature_age_frames']} frames, {camera['feature_age_s']} s",
        ]
    lines.append("")
    for name, process in report["processes"].items():
        lines.append(
            f"{name}: {process['resident_mb']} MB resident, growth {_change(process['growth'])} after "
            f"warm-up; {process['cpu_ms_per_frame']} ms of processor per frame"
        )
    lines.append(
        f"of the segmenter's, the thread that receives: {report['receive_ms_per_frame']} ms per frame"
    )
    return "\n".join(lines)


def _change(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share + 0.0:+.1f} %"


def _percentiles(values) -> dict[str, float | None]:
    values = np.asarray(values, float)
    return {**percentiles(values, (50, 95, 99)), "max": rounded(values.max(initial=-np.inf), 2)}


def _drift(when: np.ndarray, latency: np.ndarray) -> float | None:
    """Return the p99 of the last third of the time divided by that of the first, minus 1."""
    if len(when) < 300:
        return None
    third = (when[-1] - when[0]) / 3
    first, last = latency[when <= when[0] + third], latency[when >= when[-1] - third]
    return round(float(np.percentile(last, 99) / np.percentile(first, 99)) - 1.0, 4)
