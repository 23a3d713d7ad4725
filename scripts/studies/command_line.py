# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of studies that make a report: options of a dataclass, `--json`, errors in one line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

from dcfm_ros.cli.arguments import Parser, add_settings, settings_from
from dcfm_ros.cli.report_file import ReportFile


def run_study(
    script: str,
    text: str,
    options_type: type,
    make: Callable[[Any, str], dict],
    table: Callable[[dict], str],
    arguments: Sequence[str] | None = None,
) -> tuple[Any, dict]:
    """Make the report, print it as text and write it where `--json` says. Return options and report.

    script: the name to call it by
    text: the script's docstring, whose first line describes it
    make: called with the options and the command as it was given
    """
    parser = Parser(description=text.splitlines()[0])
    add_settings(parser, (options_type, ReportFile))
    try:
        options, file = settings_from(parser.parse_args(arguments), (options_type, ReportFile))
        words = sys.argv[1:] if arguments is None else arguments
        report = make(options, shlex.join([script, *words]))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        parser.error(str(error))
    print(table(report))
    file.write(report)
    return options, report
