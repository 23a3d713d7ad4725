# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Partition of the deep path into slices, between which it yields to frames.

Slices are chosen by operation counts, not by measured time: the same model and size always gives the same
slices, and therefore the same masks in bf16, where results depend on where values are rounded.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from dcfm_ros.pipeline.backends.openvino.graphs import COMMON, DECODER, SHALLOW, SHALLOW_FEATURE, Graphs

SHARE = 0.7  # maximum work of a slice relative to a frame's own work, as far as single steps are that small
# Time per multiply-accumulate of the conclusion relative to other layers, measured: because of memory, as the
# common contribution is the largest array.
_CONCLUSION = 1.5


class Plan(NamedTuple):
    """Partition of a model's deep path. The conclusion is the fusion of the stages' outputs with the
    contribution."""

    slices: list[tuple[str, str]]  # input and output of each slice before the conclusion, in order
    inputs: list[str]  # of the conclusion
    bands: list[tuple[int, int]]  # rows of the conclusion's slices; empty if it is one slice


def plan(graphs: Graphs, share: float = SHARE) -> Plan:
    """Partition the deep path. share: maximum work of a slice relative to a frame's own work; infinite: the
    deep path is one network"""
    if math.isinf(share):
        return Plan([], [SHALLOW_FEATURE], [])
    work = graphs.work()
    most = share * (work[SHALLOW] + work[DECODER])
    ends = [
        end for steps in graphs.stages for end in _group_steps(steps, [work[name] for name in steps], most)
    ]
    rows = graphs.common_shape[1]
    bands = min(math.ceil(_CONCLUSION * work[COMMON] / most), rows) if graphs.can_be_banded else 1
    edges = [round(rows * at / bands) for at in range(bands + 1)]
    return Plan(
        list(pairwise([SHALLOW_FEATURE, *ends])),
        graphs.stage_outputs,
        list(pairwise(edges)) if bands > 1 else [],
    )


def _group_steps(steps: list[str], work: list[float], most: float) -> list[str]:
    """Group steps into as few slices as possible, each with at most `most` work or a single step; return the
    last one of each."""
    first, ends = 0, []
    for at in range(1, len(steps) + 1):
        if at == len(steps) or sum(work[first : at + 1]) > most:
            ends.append(steps[at - 1])
            first = at
    return ends
