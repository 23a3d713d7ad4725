# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan as plain values, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from dcfm_ros.benchmark.plan.measured import Row
from dcfm_ros.benchmark.plan.options import PlanOptions
from dcfm_ros.benchmark.plan.words import latency_ms
from dcfm_ros.model.versions import versions
from dcfm_ros.reports.machine import cpu_name
from dcfm_ros.rounding import rounded


def plan_report(options: PlanOptions, rows: Sequence[Row], chosen: Row | None) -> dict:
    """The plan as plain values for JSON."""
    return {
        "options": asdict(options),
        "cpu": cpu_name(),
        "versions": versions(),
        "recommended": chosen.model if chosen else None,
        "models": [_row_report(row) for row in rows],
    }


def _row_report(row: Row) -> dict:
    measured, drive, costs = row.measured, row.measured.drive, row.measured.costs
    found = {
        "model": row.model,
        "fits": row.fits,
        "reasons": list(row.reasons),
        "remedies": list(row.remedies),
        "backend": measured.backend,
        "device": measured.device,
        "precision": measured.precision,
        "network": list(measured.network_size),
        "p50_ms": latency_ms(drive, 50),
        "p99_ms": latency_ms(drive, 99),
        "masks": drive.masks,
        "images": drive.images,
        "dropped": drive.dropped,
        "keyframes_per_s": drive.keyframes / drive.seconds,
        "feature_age_mean_s": float(np.mean(drive.ages_s)) if drive.masks else None,
        "feature_age_max_s": max(drive.ages_s, default=None),
        "feature_age_max_frames": max(drive.ages_frames, default=None),
        "processor_share": row.load,
        "measured_cpu_s_per_s": drive.cpu_s / drive.seconds,
        "others_cpu_s_per_s": drive.others_s / drive.seconds,
        "frame_cpu_ms": 1e3 * costs.frame_s,
        "keyframe_cpu_ms": 1e3 * costs.keyframe_s,
        "ros_cpu_ms": 1e3 * costs.ros_s,
        "encoder_hz": costs.encoder_hz,
        "resident_mb": measured.resident_mb,
        "miou": row.accuracy.miou,
        "miou_loss": row.accuracy.loss,
        "curve_of": row.accuracy.measured_on,
        "min_interval": measured.schedule.scheduler.min_interval,
        "max_interval": measured.schedule.scheduler.max_interval,
        "keyframe_budget_hz": measured.schedule.scheduler.keyframe_budget_hz,
    }
    return {name: rounded(value, 4) if isinstance(value, float) else value for name, value in found.items()}
