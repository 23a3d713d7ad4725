# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm calibrate`: its arguments, and what it prints."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.cli.report_file import ReportFile
from dcfm_ros.evaluation.options import CalibrateOptions

SETTINGS = (CalibrateOptions, ReportFile)


def run(options: CalibrateOptions, file: ReportFile) -> None:
    from dcfm_ros.bags.clip import camera_clips
    from dcfm_ros.bags.finding import is_bag
    from dcfm_ros.evaluation.calibrate import calibrate, calibration_table

    recorded = camera_clips(options.source) if is_bag(Path(options.source)) else []
    report = calibrate(options, recorded) if recorded else calibrate(options)
    print(calibration_table(report))
    file.write(report)
