# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag make`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.bags.options import MakeOptions
from dcfm_ros.cli.report_file import ReportFile

SETTINGS = (MakeOptions, ReportFile)


def run(options: MakeOptions, file: ReportFile) -> None:
    from dcfm_ros.bags.make import make_bag
    from dcfm_ros.reports.mask_bag_table import made_bag_text

    report = make_bag(options)
    print(made_bag_text(report))
    file.write(report, report["bag"])
