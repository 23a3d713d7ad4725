# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm segment`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.cli.report_file import ReportFile
from dcfm_ros.evaluation.options import SegmentOptions

SETTINGS = (SegmentOptions, ReportFile)


def run(options: SegmentOptions, file: ReportFile) -> None:
    from pathlib import Path

    from dcfm_ros.evaluation.segment_files import MASKS, REPORT, VIDEO, segment
    from dcfm_ros.reports.segment_table import segment_table

    report = segment(options)
    print(segment_table(report))
    out = Path(options.out)
    file.write(report, f"{out / MASKS}/", out / VIDEO, out / REPORT)
