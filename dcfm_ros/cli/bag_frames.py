# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag frames`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.bags.options import FramesOptions
from dcfm_ros.cli.report_file import ReportFile

SETTINGS = (FramesOptions, ReportFile)


def run(options: FramesOptions, file: ReportFile) -> int:
    from dcfm_ros.bags.to_label.frames import bag_frames
    from dcfm_ros.bags.to_label.summary import summary

    report = bag_frames(options)
    print(summary(report))
    file.write(report)
    return 1 if any(one["status"] == "failed" for one in report["recordings"]) else 0
