# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reports of commands: printed, and written to a file where one is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.setting_fields import check, setting


@dataclass(frozen=True)
class ReportFile:
    """Where the report goes, too."""

    json: str = setting("", "write the report to this file, too", metavar="FILE")

    def __post_init__(self):
        check(self)

    def write(self, report: dict) -> None:
        if self.json:
            Path(self.json).parent.mkdir(parents=True, exist_ok=True)
            Path(self.json).write_text(json.dumps(report, indent=2) + "\n")

    def print(self, report: dict) -> None:
        """Print a report, and write it."""
        print(json.dumps(report, indent=2))
        self.write(report)
