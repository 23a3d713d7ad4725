# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/inputs.md and docs/reliability.md: each row of their tables names a test that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page, fewest", [("inputs.md", 60), ("reliability.md", 30)])
def test_each_row_is_held_by_a_test(page, fewest):
    rows = [
        line
        for line in (ROOT / "docs" / page).read_text().splitlines()
        if line.startswith("| ") and "`" in line and not line.endswith("| test |")
    ]
    assert len(rows) > fewest
    for row in rows:
        file, _, name = re.search(r"`([\w/.]+\.py)(::)(\w+)` \|$", row).groups()
        assert re.search(rf"^def {name}\(", (ROOT / "test" / file).read_text(), re.MULTILINE), row
