# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run on a GPU machine leaves."""

import errno
import json
import os
from pathlib import Path

from gpu.results import DONE, FAILED, Outcome, Results


def test_a_full_disk_is_told_and_stops_nothing(tmp_path, monkeypatch):
    results, write_text = Results(tmp_path, {}), Path.write_text

    def full(path, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    results.add(Outcome("a step", DONE, ""))
    assert results.measured and results.problem.endswith(
        "report.txt could not be written: No space left on device"
    )
    monkeypatch.setattr(Path, "write_text", write_text)
    results.add(Outcome("another", FAILED, "no"))
    assert [step["name"] for step in json.loads((tmp_path / "report.json").read_text())["steps"]] == [
        "a step",
        "another",
    ]
