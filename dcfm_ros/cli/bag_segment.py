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
    from dcfm_ros.reports.fleet_table import fleet_table

    bag = only_bag(fleet)
    if bag is not None:
        file.print(with_progress(segment_bag, replace(options, bag=bag)))
        return 0
    summary = segment_fleet(fleet, options)
    print(fleet_table(summary))
    file.write(summary)
    return 1 if summary["counts"].get("failed") else 0
