# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/inputs.md: each row names a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_row_is_held_by_a_test():
    rows = [
        line
        for line in (ROOT / "docs" / "inputs.md").read_text().splitlines()
        if line.startswith("| ") and not line.endswith("| test |")
    ]
    assert len(rows) > 60
    for row in rows:
        file, _, name = re.search(r"`([\w/.]+\.py)(::)(\w+)` \|$", row).groups()
        assert re.search(rf"^def {name}\(", (ROOT / "test" / file).read_text(), re.MULTILINE), row
