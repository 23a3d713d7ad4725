# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm soak`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.cli.report_file import ReportFile
from dcfm_ros.ros.tools.options import SoakOptions

SETTINGS = (SoakOptions, ReportFile)


def run(options: SoakOptions, file: ReportFile) -> None:
    try:
        from dcfm_ros.ros.tools.soak import soak
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{error.name} is missing: soak needs ROS 2; run `make build` and `source scripts/env.bash`, or "
            "source a ROS distribution and this package"
        ) from error
    from dcfm_ros.ros.tools.soak_report import soak_table

    report = soak(options)
    print(soak_table(report))
    file.write(report)
