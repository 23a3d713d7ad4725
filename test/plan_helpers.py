# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements of `dcfm plan` that were never made."""

from __future__ import annotations

from dataclasses import replace

from dcfm_ros.benchmark.plan.measured import Drive, Job, Measured
from dcfm_ros.benchmark.plan.schedule import Costs, Wish, schedule_for
from dcfm_ros.pipeline.settings import Mode

JOB = Job("street11", "auto", "auto", "auto", "", (480, 640), 10.0, 1, 0.5, 2, 15.0)
COSTS = Costs(0.020, 0.200, 10.0, 0.005)
DRIVE = Drive(
    seconds=10.0,
    cpu_s=7.0,
    others_s=0.0,
    images=100,
    dropped=0,
    latencies_ms=(10.0,) * 98 + (30.0,) * 2,
    ages_s=(0.2,) * 50 + (0.4,) * 50,
    ages_frames=(2,) * 50 + (4,) * 50,
    encode_ms=(90.0,) * 35,
)


def measured(costs: Costs = COSTS, job: dict | None = None, drive: dict | None = None) -> Measured:
    """job, drive: what differs from JOB and DRIVE"""
    its_job = replace(JOB, **(job or {}))
    wish = Wish(its_job.rate_hz, its_job.cameras, its_job.cores, its_job.share)
    return Measured(
        its_job,
        "openvino",
        "cpu",
        "bf16",
        Mode.SYNC if costs.per_frame else Mode.ASYNC,
        (352, 480),
        costs,
        schedule_for(wish, costs),
        replace(DRIVE, **(drive or {})),
        350.4,
    )
