# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loops over rows on all cores."""

import os

import pytest

from dcfm_ros.pipeline.parallel_rows import parallel_rows


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 480])
def test_every_row_is_worked_on_once(rows):
    seen = [0] * rows

    def work(first, last):
        for row in range(first, last):
            seen[row] += 1

    parallel_rows(rows, work)
    assert seen == [1] * rows


def test_an_error_in_any_part_reaches_the_caller():
    def work(first, last):
        if last == 100:
            raise RuntimeError("last part")

    with pytest.raises(RuntimeError, match="last part"):
        parallel_rows(100, work)


def test_a_forked_process_has_threads_of_its_own():
    parallel_rows(100, lambda first, last: None)  # the parent's are running
    child = os.fork()
    if child == 0:
        parallel_rows(100, lambda first, last: None)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
