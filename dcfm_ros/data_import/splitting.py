# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images are for training and which for validation."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from dcfm_ros.sources.names import natural_key

_OF_SUBSETS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def by_subsets(subsets: Sequence[str]) -> list[str] | None:
    """Return the splits that the export itself has; None unless all its images are in one, and some for
    training and for validation."""
    splits = [_OF_SUBSETS.get(subset.lower(), "") for subset in subsets]
    return splits if all(splits) and {"train", "val"} <= set(splits) else None


def recording_of(name: str) -> str:
    """Return what names of a recording's frames have in common: all before the last number."""
    return re.sub(r"[\s_-]*\d+$", "", name)


def split(names: Sequence[str], recordings: Mapping[str, str], share: float) -> tuple[set[str], str]:
    """Return the names for validation, and how they were chosen, in words.

    Whole recordings, always the same ones. Where none is small enough, the end of all images, since images
    beside each other look the same.

    recordings: that of each name
    share: wanted for validation
    """
    wanted = max(1, round(share * len(names)))
    sizes = Counter(recordings[name] for name in names)
    chosen: set[str] = set()
    left = wanted
    for recording in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if sizes[recording] <= left and len(chosen) < len(sizes) - 1:
            chosen.add(recording)
            left -= sizes[recording]
    if chosen and 2 * left <= wanted:
        count = f"{len(chosen)} of {len(sizes)} recordings"
        return {name for name in names if recordings[name] in chosen}, count
    ordered = sorted(names, key=lambda name: (natural_key(recordings[name]), natural_key(name)))
    return set(ordered[-wanted:]), "the last images, as there are too few recordings"
