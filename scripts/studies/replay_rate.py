#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Is `dcfm bag evaluate` as fast as the segmenter? Frames per second of both, side by side: `dcfm
benchmark`'s row sync, K = 6, and an evaluation of the same pictures as a recording, without per-frame run and
page, in turns.

    scripts/studies/replay_rate.py --rounds 5 --precision f32

Evaluation reads and decodes the images, and counts keyframes, steadiness and flicker.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from itertools import islice
from pathlib import Path

from rosbags.rosbag2 import StoragePlugin, Writer

from dcfm_ros.bags.make import image_message
from dcfm_ros.bags.types import IMAGE, typestore
from dcfm_ros.benchmark.scene import open_scene
from dcfm_ros.stamps import NS_PER_S

K, FRAMES, SECONDS = 6, 600, 12
START_NS = 1_000_000_000 * NS_PER_S


def write_scene(folder: Path) -> None:
    """The benchmark's pictures as a recording."""
    store = typestore()
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        camera = writer.add_connection("/camera/image_raw", IMAGE, typestore=store)
        for frame in islice(open_scene("synthetic").frames(), FRAMES):
            message = image_message(START_NS + frame.stamp_ns, "camera", frame.image, "rgb8")
            writer.write(camera, START_NS + frame.stamp_ns, store.serialize_cdr(message, IMAGE))


def report(*command: str, file: Path) -> dict:
    subprocess.run(
        ["dcfm", *command, "--json", str(file)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return json.loads(file.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    evaluated, benchmarked = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder / "scene")
        for _ in range(options.rounds):
            evaluation = report(
                "bag",
                "evaluate",
                str(folder / "scene"),
                "--no-page",
                "--no-per-frame",
                "--out",
                str(folder / "out"),
                "--min-interval",
                str(K),
                "--max-interval",
                str(K),
                "--precision",
                options.precision,
                file=folder / "a.json",
            )
            benchmark = report(
                "benchmark",
                "--only",
                "schedules",
                "--seconds",
                str(SECONDS),
                "--precision",
                options.precision,
                file=folder / "b.json",
            )
            evaluated.append(evaluation["frames_per_s"])
            benchmarked.append(
                next(row for row in benchmark["rows"] if row["key"] == f"sync_k{K}")["frames_per_s"]
            )
            print(
                f"evaluate {evaluated[-1]:.1f}, benchmark {benchmarked[-1]:.1f} frames/s, ratio "
                f"{evaluated[-1] / benchmarked[-1]:.3f}; "
                f"{evaluation['rows'][0]['keyframe_rate']:.3f} keyframes per frame",
                flush=True,
            )
    ratios = [mine / theirs for mine, theirs in zip(evaluated, benchmarked)]
    print(
        f"median of {len(ratios)}: evaluate {statistics.median(evaluated):.1f}, benchmark "
        f"{statistics.median(benchmarked):.1f} "
        f"frames/s, ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
