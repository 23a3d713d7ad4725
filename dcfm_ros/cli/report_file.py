# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reports of commands as JSON, where a file is given, and the line that says what was written."""

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

    def write(self, report: dict, *written: object) -> None:
        """Write the report, where it is wanted, and print where everything that was written is.

        written: what the command has written already
        """
        files = [str(path) for path in written]
        if self.json:
            Path(self.json).parent.mkdir(parents=True, exist_ok=True)
            Path(self.json).write_text(json.dumps(report, indent=2) + "\n")
            files.append(self.json)
        if files:
            print(f"written    {', '.join(files)}")
