# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does a model fit, why not, what would make it fit; and which one of several to take."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dcfm_ros.benchmark.plan.age_curve import OLDEST_S, expected_accuracy
from dcfm_ros.benchmark.plan.measured import Measured, Row
from dcfm_ros.benchmark.plan.schedule import MARGIN, Wish

DROPPED_SHARE = 0.01  # of the images may be dropped, at most
OTHERS = 0.1  # share of the cores that other programs may use without being mentioned


def row_of(measured: Measured) -> Row:
    """The row of a model that was measured."""
    job, drive, costs = measured.job, measured.drive, measured.costs
    wish = Wish(job.rate_hz, job.cameras, job.cores, job.share)
    used = drive.cpu_s / drive.seconds + drive.masks / drive.seconds * costs.ros_s
    # what the schedule allows, should AKS ask for it; and where images were dropped, what all would take
    load = max(used, costs.load(wish, measured.schedule.keyframe_hz)) / wish.cores
    reasons = _reasons(wish, measured, load)
    return Row(
        job.model,
        measured,
        load,
        expected_accuracy(job.model, drive.ages_s or (OLDEST_S,), costs.per_frame),
        tuple(reasons),
        tuple(_remedies(wish, measured, load)) if reasons else (),
    )


def recommended(rows: Sequence[Row]) -> Row | None:
    """Of the models that fit the one with the highest expected mIoU, if all were measured on the same data;
    else the first, as the user prefers it. None where nothing fits."""
    fitting = [row for row in rows if row.fits]
    if not fitting:
        return None
    if any(row.accuracy.miou is None for row in fitting):
        return fitting[0]
    return max(fitting, key=lambda row: row.accuracy.miou or 0.0)


def _reasons(wish: Wish, measured: Measured, load: float) -> list[str]:
    drive, reasons = measured.drive, []
    if load > wish.share:
        encoding = "" if measured.costs.per_frame else f", with a keyframe every {_interval(measured)}"
        reasons.append(f"it takes {load:.2f} of the processor{encoding}, where {wish.share:.2f} are given")
    if drive.dropped_share > DROPPED_SHARE or not drive.masks:
        median = (
            f"a mask comes after {np.median(drive.latencies_ms):.0f} ms" if drive.masks else "no mask came"
        )
        reasons.append(
            f"{100 * drive.dropped_share:.0f} % of the images are dropped: {median}, "
            f"and an image comes every {1e3 / wish.frames_hz:.0f} ms"
        )
    if not measured.costs.per_frame and measured.costs.encoder_hz * wish.longest_interval < wish.frames_hz:
        reasons.append(
            f"the encoder makes {measured.costs.encoder_hz:.2f} keyframes per second: features would get "
            f"older than {OLDEST_S:.1f} s, of which nothing is known"
        )
    return reasons


def _interval(measured: Measured) -> str:
    frames = measured.schedule.scheduler.max_interval
    return "frame" if frames == 1 else f"{frames} frames"


def _remedies(wish: Wish, measured: Measured, load: float) -> list[str]:
    """Each by itself would do, by the model of the load and by the time that frames took."""
    costs, drive, remedies = measured.costs, measured.drive, []
    keyframe_s = 0.0 if costs.per_frame else costs.keyframe_s
    spare, frame_s = MARGIN * wish.capacity, costs.frame_s + costs.ros_s
    one_camera = wish.rate_hz * (frame_s + keyframe_s / wish.longest_interval)
    # frames come one after the other, whatever the number of cores; a tenth of the time stays free
    is_late = drive.dropped_share > DROPPED_SHARE
    serial_hz = 0.9 * drive.masks / drive.seconds if is_late else math.inf
    cameras = math.floor(min(spare / one_camera, serial_hz / wish.rate_hz))
    if 1 <= cameras < wish.cameras:
        remedies.append(f"--cameras {cameras}")
    # the oldest feature's age is in seconds, so keyframes do not become fewer with the frames
    left = spare / wish.cameras - keyframe_s / OLDEST_S
    rate = math.floor(min(left / frame_s, serial_hz / wish.cameras))
    if 1 <= rate < wish.rate_hz:
        remedies.append(f"--rate {rate}")
    needed = one_camera * wish.cameras / wish.cores / MARGIN
    if measured.schedule.scheduler.max_interval >= wish.longest_interval:
        needed = max(needed, load / MARGIN)
    if wish.share < needed <= 1 and not is_late:
        remedies.append(f"--share {math.ceil(100 * needed) / 100:.2f}")
    height, width = measured.job.image_size
    if not measured.job.mask_size and height * width >= 2 * math.prod(measured.network_size):
        remedies.append("--mask-size 0.5 (masks and their publishing are cheaper; by how much, it measures)")
    others = drive.others_s / drive.seconds / wish.cores
    if others >= OTHERS:
        remedies.append(f"less beside it: other programs used {others:.2f} of the cores meanwhile")
    return remedies or ["a lighter model, or a faster processor"]
