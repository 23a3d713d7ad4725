#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a piece of the campaign: `make campaign`.

Usage: run.py [--out FOLDER] [--minutes N] [NAME ...]

Without names each campaign goes on in turn, from where the last piece ended. Exits with 1 if a fault was
found.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "test")]  # the helpers of the tests, too

from campaign.progress import Progress  # noqa: E402

# By name: the module, whose `run(progress)` does a piece, and the number of cases.
CAMPAIGNS = {"messages": 1_000_000, "points": 300_000, "files": 100_000, "soak": 1_000_000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(CAMPAIGNS)} (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "campaign", help="folder of the progress")
    parser.add_argument("--minutes", type=float, default=8.0, help="of each campaign in this piece")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it has started ends with it
    if unknown := set(arguments.names) - CAMPAIGNS.keys():
        parser.error(f"no campaign {', '.join(sorted(unknown))}: choose from {', '.join(CAMPAIGNS)}")
    faults = 0
    for name in arguments.names or CAMPAIGNS:
        progress = Progress(arguments.out, name, CAMPAIGNS[name], 60 * arguments.minutes, arguments.seed)
        before = len(progress.faults)
        if progress.goes_on:
            try:
                importlib.import_module(f"campaign.{name}").run(progress)
            finally:
                progress.save()
        print(progress.summary(), flush=True)
        for fault in progress.faults[before:]:
            print(f"  FAULT {fault}")
        faults += len(progress.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
