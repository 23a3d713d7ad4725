# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm evaluate`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.cli.report_file import ReportFile
from dcfm_ros.evaluation.options import EvaluateOptions

SETTINGS = (EvaluateOptions, ReportFile)


def run(options: EvaluateOptions, file: ReportFile) -> None:
    from dcfm_ros.evaluation.evaluate import evaluate
    from dcfm_ros.evaluation.table import evaluation_table

    report = evaluate(options)
    print(evaluation_table(report))
    file.write(report, *([f"{options.out}/report.json and plots"] if options.out else []))
