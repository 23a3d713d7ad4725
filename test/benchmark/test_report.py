# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures and tables of times that are made up."""

import itertools

import pytest

from dcfm_ros.benchmark.interleave import Burst, Contender, Times
from dcfm_ros.benchmark.options import DCFM, GUARANTEE, PER_FRAME, SCHEDULES
from dcfm_ros.benchmark.report import Entry, guarantees, ratios, row, step_rows, upsampling_row
from dcfm_ros.benchmark.table import benchmark_table


def times_of(*milliseconds, keyframes=0, rounds=3, **laps):
    """The same frames in each round; laps in ms."""
    seconds = tuple(value / 1000 for value in milliseconds)
    steps = {name: tuple(value / 1000 for value in values) for name, values in laps.items()}
    return Times([Burst(seconds, steps, sum(seconds), keyframes)] * rounds)


def entry(key, group, precision="f32", mode=None):
    return Entry(key, f"what {key} is", group, precision, Contender(key, None, itertools.count), mode)


TIMES = {
    "eager": times_of(100, 100),
    "published": times_of(50, 50),
    "pipeline": times_of(20, 20, 38),
    "keyframe": times_of(25, 25, keyframes=2),
    "shallow": times_of(4, 5, 6),
    "shallow_none": times_of(3, 4, 5),
    "sync_k2": times_of(20, 4, keyframes=1),
    "async_k2": times_of(4, 4, keyframes=1),
    "alone": times_of(4, 4, 4),
    "encoding": times_of(*[5] * 99, 8, rounds=1),
}
GROUPS = {
    "eager": PER_FRAME,
    "published": PER_FRAME,
    "pipeline": PER_FRAME,
    "keyframe": DCFM,
    "shallow": DCFM,
    "shallow_none": DCFM,
    "sync_k2": SCHEDULES,
    "async_k2": SCHEDULES,
    "alone": GUARANTEE,
    "encoding": GUARANTEE,
}


def rows(*keys):
    modes = {SCHEDULES: "sync", GUARANTEE: "async", DCFM: "sync"}
    return [
        row(
            entry(key, GROUPS[key], mode="async" if key.startswith("async") else modes.get(GROUPS[key])),
            TIMES[key],
        )
        for key in keys
    ]


def test_a_row_has_its_figures():
    found = row(entry("sync_k2", SCHEDULES, "bf16", "sync"), TIMES["sync_k2"])
    assert found == {
        "key": "sync_k2",
        "group": "schedules",
        "what": "what sync_k2 is",
        "precision": "bf16",
        "mode": "sync",
        "samples": 6,
        "median_ms": 12.0,
        "p99_ms": 20.0,
        "mean_ms": 12.0,
        "frames_per_s": pytest.approx(1000 / 12, abs=1e-3),
        "keyframes_per_frame": 0.5,
        "keyframes_per_s": pytest.approx(1000 / 24, abs=1e-3),
    }


def test_ratios_are_to_the_fastest_per_frame_form_too():
    found = {(r["slow"], r["fast"], r["fastest_per_frame"]): r for r in ratios(rows(*TIMES), TIMES)}
    assert (
        found["eager", "shallow", False]["ratio"] == 20.0
        and found["published", "shallow", False]["ratio"] == 10.0
    )
    assert (
        found["pipeline", "shallow", True]["ratio"] == 4.0
        and found["pipeline", "keyframe", True]["ratio"] == 0.8
    )
    # of schedules the mean counts: keyframes are in it
    of_schedule = found["pipeline", "sync_k2", True]
    assert of_schedule["of"] == "mean" and of_schedule["ratio"] == pytest.approx(26 / 12, abs=1e-3)
    assert all(r["low"] <= r["ratio"] <= r["high"] for r in found.values()) and len(found) == 8
    assert found["shallow", "shallow_none", False]["ratio"] == 1.25
    assert ratios(rows("shallow", "keyframe"), TIMES) == []  # nothing to compare with


def test_the_guarantee_is_the_99th_percentile_in_medians_of_frames_alone():
    assert guarantees(TIMES, 15.0) == [
        {
            "pace": "back to back",
            "alone_median_ms": 4.0,
            "encoding_median_ms": 5.0,
            "encoding_p99_ms": 5.03,
            "ratio": pytest.approx(1.2575, abs=1e-4),
        }
    ]
    both = {**TIMES, "alone_paced": TIMES["alone"], "encoding_paced": TIMES["alone"]}
    assert [(of["pace"], of["ratio"]) for of in guarantees(both, 7.5)][1] == ("7.5 Hz", 1.0)
    assert guarantees({}, 15.0) == []


def test_steps_of_both_kinds_stand_side_by_side():
    found = step_rows(times_of(3, 3, a=(1, 3), c=(1, 1)), times_of(9, 9, a=(2, 2), b=(5, 7), c=(1, 1)))
    assert found == [
        {"step": "a", "shallow_ms": 2.0, "keyframe_ms": 2.0},
        {"step": "b", "shallow_ms": None, "keyframe_ms": 6.0},
        {"step": "c", "shallow_ms": 1.0, "keyframe_ms": 1.0},
    ]


def made_report(**changes):
    ways = {"ours": times_of(1, 1), "channels first": times_of(30, 30), "channels last": times_of(10, 10)}
    return {
        "command": "dcfm benchmark",
        "camera": [360, 480],
        "source": {"name": "synthetic", "frames": 45},
        "rounds": 3,
        "seconds": 7.0,
        "versions": {"python": "3.11"},
        "machine": {"cpu": "A processor, 2 cores", "gpu": None, "torch_threads": 2},
        "model": {
            "name": "mine",
            "backbone": "mit_b0",
            "classes": 11,
            "input": [352, 480],
            "weights": "of mine",
            "border_share": 0.1312,
        },
        "backend": {"name": "openvino", "device": "cpu", "precision": "f32"},
        "rows": rows(*TIMES),
        "ratios": ratios(rows(*TIMES), TIMES),
        "guarantees": guarantees(TIMES, 15.0),
        "steps": step_rows(times_of(3, a=(1,)), times_of(3, a=(1,), b=(2,))),
        "slices": {"number": 8, "longest_ms": 3.25},
        "transfers": None,
        "upsampling": [upsampling_row("made, 15%", 0.149, ways)],
        "kernels": [
            {
                "of": "shallow frame",
                "total_ms": 1.5,
                "kernels": [{"name": "a_kernel" * 12, "times": 5.0, "ms": 0.75}],
            }
        ],
        **changes,
    }


def test_the_table_tells_everything_in_100_columns():
    lines = benchmark_table(made_report()).splitlines()
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert "mine: mit_b0, 11 classes; height x width: camera 360x480, network input 352x480" in text
    assert "13 % of the cells of DCFM's logits are border cells" in text and "A processor, 2 cores" in text
    cells = {
        line.split(" is")[0].strip(): line.split()
        for line in lines
        if line.startswith("  what") and " than " not in line
    }
    assert cells["what sync_k2"][-7:] == ["is", "12.00", "20.00", "12.00", "83.3", "0.50", "6!"]
    assert cells["what async_k2"][-2] == "125.0/s" and cells["what encoding"][-1] == "100"
    assert (
        "p99 with keyframes all the time, back to back: 1.26 times the median with none (5.03 and 4.00 ms)"
        in lines
    )
    assert any(
        line.split()[-4:] == ["4.00", "4.00", "-", "4.00"] and "the fastest *" in line for line in lines
    )
    assert "*: of each round; over all it is: what pipeline is" in lines
    assert "the deep path runs in 8 slices, the longest of 3.25 ms" in lines
    assert "transfers: none, all is in the memory of the CPU" in lines
    assert [line.split()[-6:] for line in lines if "made, 15%" in line] == [
        ["%", "1.00", "30.00", "30.0", "10.00", "10.0"]
    ]
    assert any(line.startswith("!: of fewer than 100 samples") for line in lines)
    at = next(
        number
        for number, line in enumerate(lines)
        if line.startswith("longest operators of a shallow frame, of 1.50 ms")
    )
    assert lines[at + 1].split() == [f"{'a_kernel' * 9}a_ker...", "5", "0.750"]


def test_braces_in_a_model_s_name_are_letters():
    report = made_report()
    report["model"]["name"] = "{x}{}"
    assert "{x}{}: mit_b0, 11 classes" in benchmark_table(report)


def test_long_lines_of_the_head_are_wrapped():
    text = benchmark_table(made_report(versions={f"package{number}": "1.2.3" for number in range(9)}))
    lines = text.splitlines()
    assert (
        max(map(len, lines)) <= 100
        and any(line.startswith("  package") for line in lines)
        and "package8 1.2.3" in text
    )


def test_the_table_marks_another_precision_and_leaves_out_what_was_not_measured():
    eager = row(entry("eager", PER_FRAME, "f32"), times_of(*[10] * 40))
    gpu = {"name": "torch", "device": "cuda", "precision": "f16"}
    text = benchmark_table(
        made_report(
            rows=[eager],
            ratios=[],
            guarantees=[],
            steps=[],
            upsampling=[],
            kernels=[],
            backend=gpu,
            machine={"cpu": "c", "gpu": "A GPU", "torch_threads": 1},
        )
    )
    assert "what eager is, f32" in text and "; A GPU;" in text
    for absent in ("!:", "times faster", "step by step", "borders", "DCFM under"):
        assert absent not in text


def test_transfers_to_a_gpu_are_told():
    text = benchmark_table(
        made_report(
            backend={"name": "torch", "device": "cuda", "precision": "f32"},
            transfers={"image to the device": 0.1, "mask to the host": 0.05},
        )
    )
    assert (
        "transfers by themselves, in the steps above, too: image to the device 0.10 ms, mask to the host "
        "0.05 ms" in text
    )
