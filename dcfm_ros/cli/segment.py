# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm segment`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.cli.report_file import ReportFile
from dcfm_ros.evaluation.options import SegmentOptions

SETTINGS = (SegmentOptions, ReportFile)


def run(options: SegmentOptions, file: ReportFile) -> None:
    from dcfm_ros.evaluation.segment_files import segment

    file.print(segment(options))
