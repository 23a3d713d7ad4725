# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parallel loops over image rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

# More threads gain little: the loops take about a millisecond.
_THREADS = min(4, len(os.sched_getaffinity(0)))


_pool: ThreadPoolExecutor


def _make_pool() -> None:
    global _pool
    # joined when Python ends
    _pool = ThreadPoolExecutor(max(1, _THREADS - 1), thread_name_prefix="dcfm-rows")


_make_pool()
os.register_at_fork(after_in_child=_make_pool)  # a forked child has none of its parent's threads


def parallel_rows(rows: int, work: Callable[[int, int], None]) -> None:
    """Call work(first, last) in parallel for parts of `rows` rows; `work` must release the GIL to benefit."""
    bounds = [rows * part // _THREADS for part in range(_THREADS + 1)]
    others = [_pool.submit(work, *part) for part in zip(bounds[1:-1], bounds[2:])]
    work(bounds[0], bounds[1])
    for other in others:
        other.result()
