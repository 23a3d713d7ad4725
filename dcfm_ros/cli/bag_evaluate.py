# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag evaluate`: its arguments, and what it prints."""

from __future__ import annotations

from dataclasses import replace

from dcfm_ros.bags.options import BagEvaluateOptions, FleetOptions
from dcfm_ros.cli.report_file import ReportFile

SETTINGS = (BagEvaluateOptions, FleetOptions, ReportFile)
FIXED = {"bag": ""}  # one after the other of the fleet's


def run(options: BagEvaluateOptions, fleet: FleetOptions, file: ReportFile) -> int:
    from dcfm_ros.bags.evaluate import evaluate_bag
    from dcfm_ros.bags.fleet import evaluate_fleet, only_bag
    from dcfm_ros.bags.progress_bar import with_progress
    from dcfm_ros.reports.fleet_table import fleet_files, fleet_table
    from dcfm_ros.reports.replay_table import replay_table

    bag = only_bag(fleet)
    if bag is not None:
        options = replace(options, bag=bag)
        report = with_progress(evaluate_bag, options).report
        print(replay_table(report))
        names = ("report.html", "report.json") if options.page else ("report.json",)
        file.write(report, *(options.folder / name for name in names))
        return 0
    summary = evaluate_fleet(fleet, options)
    print(fleet_table(summary))
    file.write(summary, *fleet_files(fleet.out))
    return 1 if summary["counts"].get("failed") else 0
