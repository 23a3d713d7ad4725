#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many frames masks need to recover from a hard cut, for the table in docs/results.md:

    scripts/studies/cut_recovery.py [--model MODEL] [--seeds 1000-1005] [--delays 2,4] [--cuts 2]

Synthetic drives, the first --cuts of each seed, with an encoder that takes --delays frames.
"""

from __future__ import annotations

import argparse
import statistics

from recovery import BEFORE, RECOVERED, SETTLED, recoveries

from dcfm_ros.model.folder import load_model
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.settings import DEFAULT_MODEL
from dcfm_ros.sources.synthetic.video import SyntheticVideo

LONGEST = 3000  # frames in which the cuts of a seed are looked for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--seeds", default="1000-1005", help="FIRST-LAST")
    parser.add_argument("--delays", default="2,4")
    parser.add_argument("--cuts", type=int, default=2)
    options = parser.parse_args()
    model = load_model(options.model)
    backend = make_backend(options.backend, model, "auto")
    size = (model.config.input_height, model.config.input_width)
    first, last = map(int, options.seeds.split("-"))
    delays = [int(delay) for delay in options.delays.split(",")]
    found = []
    for seed in range(first, last + 1):
        video = SyntheticVideo(seed)
        for cut in [cut for cut in video.cut_frames(LONGEST) if cut >= BEFORE][: options.cuts]:
            found += recoveries(backend, size, video, cut, delays)
    print(f"frames from the cut to the first mask with {RECOVERED:.0%} of the settled agreement\n")
    print(
        "| delay | cuts | requested on the cut frame | settled agreement | on the cut frame | median | max | "
        "not within "
        f"{SETTLED} |\n|---|---|---|---|---|---|---|---|"
    )
    for delay in delays:
        rows = [row for row in found if row.delay == delay]
        frames = [row.frames for row in rows if row.frames is not None]
        level, on_cut = (
            statistics.mean(values) for values in zip(*((row.level, row.on_cut) for row in rows))
        )
        print(
            f"| {delay} | {len(rows)} | {sum(row.requested for row in rows)} | {level:.3f} | {on_cut:.3f} "
            f"| {statistics.median(frames) if frames else '-'} "
            f"| {max(frames, default='-')} | {len(rows) - len(frames)} |"
        )


if __name__ == "__main__":
    main()
