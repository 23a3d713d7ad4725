# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From times to the figures of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dcfm_ros import rounding
from dcfm_ros.benchmark.interleave import Contender, Ratio, Times, fastest, ratio
from dcfm_ros.benchmark.options import PER_FRAME

rounded = partial(rounding.rounded, decimals=4)  # milliseconds to a tenth of a microsecond


@dataclass(frozen=True)
class Entry:
    """A contender that has a row."""

    key: str
    what: str
    group: str
    precision: str
    contender: Contender
    mode: str | None = None  # of the segmenter


def row(entry: Entry, times: Times) -> dict:
    keyframes = times.keyframes
    return {
        "key": entry.key,
        "group": entry.group,
        "what": entry.what,
        "precision": entry.precision,
        "mode": entry.mode,
        "samples": len(times.samples),
        "median_ms": rounded(times.percentile(50)),
        "p99_ms": rounded(times.percentile(99)),
        "mean_ms": rounded(times.samples.mean()),
        "frames_per_s": rounded(times.frames_per_second),
        "keyframes_per_frame": rounded(keyframes / len(times.samples)),
        "keyframes_per_s": rounded(keyframes / times.wall_s),
    }


# (slow, fast, statistic); `fastest` are the per-frame forms that were so, round by round
_RATIOS = (
    *(
        (slow, fast, "median")
        for fast in ("shallow", "keyframe")
        for slow in ("transformers", "transformers_half", "eager", "published", "fastest")
    ),
    ("fastest", "sync_k2", "mean"),
    ("fastest", "sync_k6", "mean"),
    ("fastest", "sync_aks", "mean"),
    ("fastest", "shallow_border", "median"),
    ("shallow", "shallow_none", "median"),  # what it costs that features move
)
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "median": lambda values: float(np.median(values)),
    "mean": lambda values: float(np.mean(values)),
}


def ratios(rows: list[dict], times: Mapping[str, Times]) -> list[dict]:
    """How much faster: `ratio` is the median over rounds, `low` and `high` are their quartiles. times: by key
    of the row.

    Where `fastest_per_frame`, each round has its own fastest form; `slow` is the one that is so over all.
    """
    per_frame = [row for row in rows if row["group"] == PER_FRAME]
    names, found = {row["key"]: row["key"] for row in rows}, []
    slow_times = {key: times[key] for key in names}
    if per_frame:
        names["fastest"] = min(per_frame, key=lambda row: row["median_ms"])["key"]
        slow_times["fastest"] = fastest([times[row["key"]] for row in per_frame])
    for slow, fast, statistic in _RATIOS:
        if slow in names and fast in names:
            found.append(
                {
                    "slow": names[slow],
                    "fastest_per_frame": slow == "fastest",
                    "fast": fast,
                    "of": statistic,
                    **plain_ratio(ratio(slow_times[slow], times[fast], STATISTICS[statistic])),
                }
            )
    return found


def guarantees(times: Mapping[str, Times], rate_hz: float) -> list[dict]:
    """p99 of shallow frames while keyframes are encoded all the time, in medians of shallow frames alone."""
    return [
        {
            "pace": pace,
            "alone_median_ms": rounded(times[f"alone{suffix}"].percentile(50)),
            "encoding_median_ms": rounded(times[f"encoding{suffix}"].percentile(50)),
            "encoding_p99_ms": rounded(times[f"encoding{suffix}"].percentile(99)),
            "ratio": rounded(
                times[f"encoding{suffix}"].percentile(99) / times[f"alone{suffix}"].percentile(50)
            ),
        }
        for pace, suffix in (("back to back", ""), (f"{rate_hz:g} Hz", "_paced"))
        if f"alone{suffix}" in times
    ]


def step_rows(shallow: Times, keyframe: Times) -> list[dict]:
    """Medians of each step of both kinds of frames; None where a frame does not have it."""
    kinds = {"shallow_ms": shallow.steps(), "keyframe_ms": keyframe.steps()}
    return [
        {
            "step": step,
            **{
                kind: rounded(np.median(found[step])) if step in found else None
                for kind, found in kinds.items()
            },
        }
        for step in kinds["keyframe_ms"]
    ]


def upsampling_row(logits: str, share: float, ways: Mapping[str, Times]) -> dict:
    """Of one kind of logits. ways: by WAYS; the first is ours, the others are what it is compared with."""
    (ours, own), *others = ways.items()
    row: dict = {
        "logits": logits,
        "border_share": rounded(share),
        "samples": len(own.samples),
        f"{ours}_ms": rounded(own.percentile(50)),
        f"{ours}_p99_ms": rounded(own.percentile(99)),
        "torch": [],
    }
    for way, times in others:
        row["torch"].append(
            {"layout": way, "ms": rounded(times.percentile(50)), **plain_ratio(ratio(times, own))}
        )
    return row


def plain_ratio(value: Ratio) -> dict[str, float | None]:
    """Rounded, for JSON."""
    return {"ratio": rounded(value.median), "low": rounded(value.low), "high": rounded(value.high)}
