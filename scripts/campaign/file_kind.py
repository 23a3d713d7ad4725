# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a kind of file is to the campaign: valid samples, how they are changed, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from campaign.file_changes import Change


@dataclass(frozen=True)
class Kind:
    """Files of one kind.

    make: writes a valid sample, one or several files, into an empty folder
    changes: how a file of the sample is changed, by its path in that folder; one of them in each case
    read: does with the folder what a user's command does, and may write into the second one, which is empty
    refusals: errors of libraries that the command expects there, and handles
    leaves: names of files that reading may leave in the sample's folder
    """

    name: str
    make: Callable[[Path], object]
    changes: Mapping[str, tuple[Change, ...]]
    read: Callable[[Path, Path], object]
    weight: float = 1.0  # share of the cases
    refusals: tuple[type[Exception], ...] = ()
    leaves: frozenset[str] = field(default=frozenset())
