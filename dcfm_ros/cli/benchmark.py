# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm benchmark`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.benchmark.options import BenchmarkOptions
from dcfm_ros.cli.report_file import ReportFile

SETTINGS = (BenchmarkOptions, ReportFile)


def run(options: BenchmarkOptions, file: ReportFile) -> None:
    from dcfm_ros.benchmark.benchmark import benchmark
    from dcfm_ros.benchmark.table import benchmark_table

    report = benchmark(options)
    print(benchmark_table(report))
    file.write(report)
