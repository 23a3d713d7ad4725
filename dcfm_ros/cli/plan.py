# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm plan`: its arguments, and what it prints."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from dcfm_ros.benchmark.plan.options import PlanOptions
from dcfm_ros.cli.report_file import ReportFile

SETTINGS = (PlanOptions, ReportFile)


def run(options: PlanOptions, file: ReportFile) -> int:
    """Returns 1 where no model fits."""
    from datetime import date

    from dcfm_ros.benchmark.plan.parameters_file import parameters_text
    from dcfm_ros.benchmark.plan.plan import plan
    from dcfm_ros.benchmark.plan.report import plan_report
    from dcfm_ros.benchmark.plan.table import plan_table
    from dcfm_ros.benchmark.plan.verdict import recommended
    from dcfm_ros.files import atomic_write
    from dcfm_ros.ros.yaml_text import as_yaml  # of the layer of ROS, but needs the standard library alone

    rows = plan(options)
    chosen = recommended(rows)
    print(plan_table(rows, chosen))
    report = plan_report(options, rows, chosen)
    if chosen is None:
        file.write(report)
        return 1
    text = parameters_text(chosen, options.command(), date.today(), as_yaml)
    if options.out:
        atomic_write(Path(options.out), text)
        print()
        file.write(report, options.out)
        print(f"next: {start_line(options.out)}")
    else:
        file.write(report)
        print(f"parameters file (--out FILE writes it):\n\n{text}", end="")
    return 0


def start_line(parameters: str) -> str:
    """How the segmenter is started here with this parameters file: ROS from PyPI has no command `ros2`."""
    file = shlex.quote(parameters)
    if shutil.which("ros2") is None:
        for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
            node = Path(prefix, "lib", "dcfm_ros", "segmenter")
            if node.is_file():
                here = Path.cwd()
                shown = node.relative_to(here) if node.is_relative_to(here) else node
                return f"{shlex.quote(str(shown))} --ros-args --params-file {file}"
    return f"ros2 launch dcfm_ros segment.launch.py params:={file}"
