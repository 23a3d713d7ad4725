# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The procedural street video as a source: `synthetic`, `synthetic:SEED` or `synthetic:FIRST-LAST`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcfm_ros.sources.data_sets import SYNTHETIC
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.sizes import wanted_size
from dcfm_ros.sources.source_kinds import DEFAULT_RATE_HZ, DEFAULT_SIZE, SourceRequest

if TYPE_CHECKING:
    from dcfm_ros.sources.synthetic.video import SyntheticVideo
    from dcfm_ros.sources.synthetic_series import SyntheticSeries

DEFAULT_SEED = 1000  # the first of the synthetic video's RESERVED_SEEDS: never trained on


def recognises(name: str) -> bool:
    """Return whether this source opens the name; used by the table of sources."""
    return name.partition(":")[0] == SYNTHETIC


def open_video(request: SourceRequest) -> SyntheticVideo | SyntheticSeries:
    """Rendered at the size that is asked for."""
    # Imported here: the other sources need no numba.
    from dcfm_ros.sources.synthetic.video import SyntheticVideo
    from dcfm_ros.sources.synthetic_series import SyntheticSeries

    seeds = request.name.partition(":")[2]
    first, last = seed_range(seeds)
    size, rate_hz = wanted_size(DEFAULT_SIZE, *request.size), request.rate_hz or DEFAULT_RATE_HZ
    try:
        if "-" in seeds:
            return SyntheticSeries(first, last, *size, rate_hz)
        return SyntheticVideo(first, *size, rate_hz)
    except ValueError as error:
        raise SourceError(f"synthetic video: {error}") from error


def seed_range(text: str) -> tuple[int, int]:
    """First and last seed of what follows `synthetic:`, SEED or FIRST-LAST; nothing stands for
    DEFAULT_SEED."""
    numbers = text.split("-") if text else [str(DEFAULT_SEED)]
    if len(numbers) > 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise SourceError(
            f"synthetic:{text} has no valid seed; give a whole number of 0 or more, or two as in 1000-1019"
        )
    first, last = int(numbers[0]), int(numbers[-1])
    if last < first:
        raise SourceError(f"synthetic video: seeds {first}-{last}: the last is smaller than the first")
    return first, last
