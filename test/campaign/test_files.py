# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutated files of every kind are read or refused in one sentence; `make campaign` throws a hundred thousand
of them."""

import random

import pytest
from campaign import files
from campaign.mutations import mutated, mutated_tree
from campaign.progress import Progress

# What is made again, or done without, where it is damaged; and text, which is written rather than read.
_NEVER_REFUSED = {"OpenVINO cache", "looks of bag frames", "metadata.yaml", "ROS parameters"}


@pytest.mark.slow
def test_no_fault_among_two_thousand_files(tmp_path):
    pytest.importorskip("datumaro", reason="datumaro is not installed: requirements/data.txt")
    pytest.importorskip("onnx", reason="onnx is not installed; requirements/test.txt has it")
    progress = Progress(tmp_path, "files", 2000, seconds=600, seed=1)
    files.run(progress, "campaign.file_kinds:EVEN")
    assert progress.faults == [] and progress.done == 2000
    assert progress.outcomes["read"] > 300 and progress.outcomes["refused"] > 1000
    kinds = {record["kind"]: record for record in progress.records}
    assert len(kinds) > 50
    # Each kind's valid sample was read before its cases.
    assert {name for name, record in kinds.items() if not record["refused"]} <= _NEVER_REFUSED


@pytest.mark.slow
def test_faults_are_found(tmp_path):
    """The death of the process that reads costs one case."""
    from planted_files import PLANTED

    progress = Progress(tmp_path, "files", 60, seconds=300, seed=31)  # which has one that hangs
    files.run(progress, "planted_files:KINDS", hang_s=12.0)
    found = {record["kind"] for record in progress.records if record["fault"]}
    assert found == set(PLANTED) and progress.done == 60
    for fault in progress.faults:
        assert fault["what"].startswith(fault["kind"]), fault


@pytest.mark.slow
def test_it_goes_on_where_it_was(tmp_path):
    whole = Progress(tmp_path / "whole", "files", 40, seconds=300)
    files.run(whole, "planted_files:GOOD")
    for goal in (1, 25, 40):
        part = Progress(tmp_path / "parts", "files", goal, seconds=300)
        files.run(part, "planted_files:GOOD")
    assert part.done == whole.done == 40 and part.outcomes == whole.outcomes
    assert part.outcomes["read"] > 5 and part.outcomes["refused"] > 5

    def counts(progress):
        return {record["kind"]: (record["read"], record["refused"]) for record in progress.records}

    assert counts(part) == counts(whole)


def test_a_case_depends_on_its_number_alone():
    data, tree = bytes(range(200)), {"a": [1, {"b": None}], "c": "text"}
    for number in range(50):
        made = [mutated(data, random.Random(f"0:{number}")) for _ in range(2)]
        assert made[0] == made[1]
        trees = [repr(mutated_tree(tree, random.Random(f"0:{number}"))) for _ in range(2)]
        assert trees[0] == trees[1]
    assert tree == {"a": [1, {"b": None}], "c": "text"}
    assert len({mutated(data, random.Random(f"0:{number}")) for number in range(50)}) > 40
