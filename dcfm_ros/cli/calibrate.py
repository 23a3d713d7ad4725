# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm calibrate`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.cli.report_file import ReportFile
from dcfm_ros.evaluation.options import CalibrateOptions

SETTINGS = (CalibrateOptions, ReportFile)


def run(options: CalibrateOptions, file: ReportFile) -> None:
    from dcfm_ros.evaluation.calibrate import calibrate, calibration_table
    from dcfm_ros.sources.recording import recognises

    if recognises(options.source):
        from dcfm_ros.bags.clip import camera_clips  # needs libraries that nothing else here needs

        report = calibrate(options, camera_clips(options.source))
    else:
        report = calibrate(options)
    print(calibration_table(report))
    file.write(report)
