# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag segment`: its arguments, and what it prints."""

from __future__ import annotations

from dataclasses import replace

from dcfm_ros.bags.options import BagSegmentOptions, FleetOptions
from dcfm_ros.cli.report_file import ReportFile

SETTINGS = (BagSegmentOptions, FleetOptions, ReportFile)
FIXED = {"bag": ""}  # one after the other of the fleet's


def run(options: BagSegmentOptions, fleet: FleetOptions, file: ReportFile) -> int:
    from dcfm_ros.bags.fleet import only_bag, segment_fleet
    from dcfm_ros.bags.progress_bar import with_progress
    from dcfm_ros.bags.segment import segment_bag
    from dcfm_ros.reports.fleet_table import fleet_files, fleet_table
    from dcfm_ros.reports.mask_bag_table import mask_bag_table, next_lines

    bag = only_bag(fleet)
    if bag is not None:
        report = with_progress(segment_bag, replace(options, bag=bag))
        print(mask_bag_table(report))
        file.write(report, report["out"])
        print(next_lines(report["out"]))
        return 0
    summary = segment_fleet(fleet, options)
    print(fleet_table(summary))
    file.write(summary, *fleet_files(fleet.out))
    return 1 if summary["counts"].get("failed") else 0
