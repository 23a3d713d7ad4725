# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a plan in words, for the table and the parameters file."""

from __future__ import annotations

import numpy as np

from dcfm_ros.benchmark.plan.measured import Drive, Job, Measured, Row
from dcfm_ros.benchmark.plan.verdict import OTHERS
from dcfm_ros.reports.machine import cpu_name


def wish_words(job: Job) -> str:
    height, width = job.image_size
    cameras = "a camera" if job.cameras == 1 else f"{job.cameras} cameras"
    masks = f" with masks of mask_size {job.mask_size}" if job.mask_size else ""
    return f"{cameras} of {width}x{height} (width x height) at {job.rate_hz:g} Hz{masks}"


def machine_words(measured: Measured) -> str:
    return f"{cpu_name()}, {measured.backend} on {measured.device} in {measured.precision}"


def latency_words(measured: Measured) -> str:
    p50, p99 = latency_ms(measured.drive, 50), latency_ms(measured.drive, 99)
    return "no time: no mask came" if p50 is None else f"{p50:.1f} ms (p50), {p99:.1f} ms (p99)"


def age_words(measured: Measured) -> str:
    drive = measured.drive
    if not drive.masks:
        return "none"
    return f"{np.mean(drive.ages_s):.2f} s old in the mean, {max(drive.ages_s):.2f} s at most"


def accuracy_words(row: Row) -> str:
    """Beginning with a capital letter, with a full stop."""
    accuracy = row.accuracy
    if not accuracy.measured_on:
        return "Accuracy: a per-frame model loses none, since no feature is old."
    loss = f"{max(0.0, accuracy.loss):.1f} points of mIoU less than with features of the frame itself"
    if accuracy.miou is None:
        return f"Accuracy: not measured for this model; {accuracy.measured_on} has {loss} at these ages."
    return f"Accuracy: {accuracy.miou:.1f} mIoU expected on CamVid val, {loss}."


def others_words(row: Row) -> str:
    """Empty where hardly anything else ran."""
    share = row.measured.drive.others_s / row.measured.drive.seconds / row.measured.job.cores
    if share < OTHERS:
        return ""
    return f"other programs used {share:.2f} of the cores meanwhile: alone, frames would be faster"


def latency_ms(drive: Drive, percent: float) -> float | None:
    return float(np.percentile(drive.latencies_ms, percent)) if drive.masks else None
