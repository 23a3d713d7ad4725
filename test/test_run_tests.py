# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make test` leaves no test out, and tells of what fails."""

import subprocess
import sys
from pathlib import Path

import pytest
from run_tests import GROUPS, parts

TESTS = Path(__file__).parent


def test_every_file_is_in_one_part():
    found = []
    for part in parts(TESTS):
        for path in map(Path, part.paths):
            found += path.rglob("test_*.py") if path.is_dir() else [path]
    assert sorted(found) == sorted(TESTS.rglob("test_*.py"))


@pytest.mark.slow
def test_a_failure_and_a_part_without_tests(tmp_path):
    large = GROUPS[0].folders[0]  # a part of its own
    for folder, test in ((large, "def test_good(): pass"), ("small", "def test_bad(): assert 0")):
        (tmp_path / "test" / folder).mkdir(parents=True)
        (tmp_path / "test" / folder / f"test_{folder}.py").write_text(test)
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "run_tests.py"
    script.write_text((TESTS.parent / "scripts" / "run_tests.py").read_text())

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, script, *arguments], capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout

    code, said = run()
    assert code == 1 and "1 passed" in said and "1 failed" in said and "all in " in said
    assert [run("-k", name)[0] for name in ("good", "bad", "nothing")] == [0, 1, 5]
