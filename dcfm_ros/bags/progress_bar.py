# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A progress bar for one recording, on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tqdm import tqdm

Result = TypeVar("Result")


def with_progress(work: Callable[..., Result], options: Any) -> Result:
    """Run work(options, on_frame, on_start), such as `evaluate_bag`, with a progress bar over its images."""
    with tqdm(unit="image", disable=None) as bar:
        return work(options, bar.update, bar.reset)
