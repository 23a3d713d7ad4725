#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DCFM and what a user would pick instead on a CPU: image in to mask out, by turns, through the same runtime.

    scripts/studies/against_others.py --camera 360x480 --json others.json
    scripts/studies/against_others.py --camera 720x1280 --size 512x1024 --precision f32

Others have two forms: as published (logits upsampled to camera size and argmax in the network), and with this
package's upsample-and-argmax on their small logits. docs/performance.md has the method.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.command_line import run_study
from studies.other_networks import OTHERS, AsLogits, AsPublished, Other, prepared

from dcfm_ros.benchmark.border import border_share
from dcfm_ros.benchmark.contenders import (
    NEVER,
    PipelineRow,
    fixed_interval,
    plain,
    published_run,
    rewritten_run,
)
from dcfm_ros.benchmark.interleave import BURST_S, Contender, Times, fastest, interleave, ratio
from dcfm_ros.benchmark.networks import Networks, load_networks, random_networks
from dcfm_ros.benchmark.options import DCFM
from dcfm_ros.benchmark.participants import per_frame_entries
from dcfm_ros.benchmark.report import STATISTICS, Entry, plain_ratio, rounded, row
from dcfm_ros.benchmark.scene import Scene, open_scene
from dcfm_ros.benchmark.upsampling import measured_border_share
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.model_yaml import load_model_config
from dcfm_ros.model.versions import versions
from dcfm_ros.pipeline.backends import Backend, Sharing, make_backend
from dcfm_ros.pipeline.backends.base import stop_backend
from dcfm_ros.pipeline.backends.monolithic import compile_monolithic
from dcfm_ros.pipeline.cpu_gate import sharing
from dcfm_ros.pipeline.memory import settle_memory, tune_malloc
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.settings import Mode, NetworkSettings, PipelineConfig, SchedulerConfig
from dcfm_ros.reports.machine import machine
from dcfm_ros.reports.text import aligned
from dcfm_ros.setting_fields import check, like, setting

K = 6  # interval of the row in mode sync
_MASKED = "/masked"  # ending of keys: the second form of others
OTHER = "others"  # group of rows


@dataclass(frozen=True)
class Options:
    """What to measure, on what, for how long."""

    camera: tuple[int, int] = setting(
        (360, 480), "size of images and masks", low=32, high=8192, unit="pixels"
    )
    size: tuple[int, int] | None = setting(
        None, "network input, of all; by default as large as the images", low=32, high=8192, unit="pixels"
    )
    models: tuple[str, ...] = setting(("street11", "street11_b0"), "DCFM models", metavar="MODEL,...")
    others: tuple[str, ...] = setting(
        tuple(OTHERS), "what they are compared with", choices=tuple(OTHERS), metavar="NETWORK,..."
    )
    classes: int = setting(
        11, "number of classes; models with another have random weights then", low=2, high=255
    )
    source: str = setting("synthetic", "where images come from, as for dcfm benchmark")
    precision: str = like(NetworkSettings, "precision")
    seconds: float = setting(
        120.0, "measure for about so long, but three rounds at least", above=0, unit="seconds"
    )

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Form:
    """A row of another network."""

    entry: Entry
    other: Other
    border_share: float  # of its logits


def against_others(options: Options, burst_s: float = BURST_S) -> dict:
    """Measure; returns the report, plain values for JSON."""
    tune_malloc()  # as the node does
    scene = open_scene(options.source, options.camera)
    size = input_size(scene.size, options.size or scene.size)
    with ExitStack() as stack:

        def make(model, shared: Sharing = Sharing.NONE) -> Backend:
            backend = make_backend("openvino", model, "cpu", options.precision, shared)
            stack.callback(stop_backend, backend)
            return backend

        ours, about = [], {}
        for name in tqdm(options.models, "models", disable=None):
            networks = _networks(name, options, scene.size, size)
            waited_for = make(networks.dcfm)
            ours += _our_entries(name, networks, waited_for, make, scene)
            about[name] = {
                "weights": networks.weights,
                "backbone": networks.config.backbone,
                "border_share": rounded(measured_border_share(waited_for, scene, size)),
            }
        forms: list[Form] = []
        for key in tqdm(options.others, "others", disable=None):
            forms += _forms(OTHERS[key], options.classes, scene, size, waited_for)
        entries = [*ours, *(form.entry for form in forms)]
        settle_memory()  # as the node does
        began = time.monotonic()
        with tqdm(bar_format=f"measuring: {{n:.0f}} of about {options.seconds:.0f} s", disable=None) as bar:

            def on_round(elapsed: float) -> None:
                bar.update(elapsed - bar.n)

            contenders = [entry.contender for entry in entries]
            times = interleave(contenders, options.seconds, burst_s=burst_s, on_round=on_round)
        seconds = time.monotonic() - began
    return {
        "options": asdict(options),
        "camera": list(scene.size),
        "input": list(size),
        "source": {"name": options.source, "frames": len(scene.images)},
        "precision": ours[0].precision,
        "machine": machine(),
        "versions": versions(),
        "rounds": len(times[entries[0].key].bursts),
        "seconds": rounded(seconds),
        "models": about,
        "rows": [
            *(row(entry, times[entry.key]) for entry in ours),
            *(
                {
                    **row(form.entry, times[form.entry.key]),
                    "border_share": rounded(form.border_share),
                    "published": [asdict(published) for published in form.other.published],
                }
                for form in forms
            ),
        ],
        "ratios": list(_ratios(options.models, [form.entry.key for form in forms], times)),
    }


def _networks(name: str, options: Options, camera: tuple[int, int], size: tuple[int, int]) -> Networks:
    config = load_model_config(name)
    if len(config.classes) == options.classes:
        return load_networks(name, camera, size)
    return random_networks(config.backbone, options.classes, camera, size)


def _our_entries(
    name: str, networks: Networks, waited_for: Backend, make: Callable[..., Backend], scene: Scene
) -> Iterator[Entry]:
    """A frame, the mean with K = 6 by the backend `waited_for`, and every frame on its own; keys begin
    with the model's name."""
    config = networks.config
    budget = (config.input_height, config.input_width)
    live = PipelineConfig(Mode.ASYNC, NEVER)
    waiting = PipelineConfig(Mode.SYNC, SchedulerConfig(K, K))
    backend = make(networks.dcfm, sharing(live))  # as the node does
    frame = PipelineRow(f"{name}/frame", backend, budget, live)
    mean = PipelineRow(f"{name}/sync_k{K}", waited_for, budget, waiting)
    for what, found, how in (
        ("a frame, no keyframe beside it", frame, {"settle": 3}),
        (f"sync, K = {K}", mean, fixed_interval(K)),
    ):
        yield Entry(
            found.name,
            f"{name}: {what}",
            DCFM,
            backend.precision,
            found.contender(scene, **how),
            found.config.mode.value,
        )
    for entry in per_frame_entries(networks.per_frame, make(networks.per_frame), scene, eager=False):
        key = f"{name}/{entry.key}"
        yield replace(
            entry,
            key=key,
            what=f"{name}'s encoder per frame, {entry.what}",
            contender=replace(entry.contender, name=key),
        )


def _forms(other: Other, classes: int, scene: Scene, size: tuple[int, int], like: Backend) -> Iterator[Form]:
    """Both forms of another network, on the engine and in the precision of the backend `like`."""
    network = prepared(other, classes, scene.size, size)
    published = compile_monolithic(AsPublished(network, other.normalisation, scene.size), size, like)
    small = compile_monolithic(AsLogits(network, other.normalisation), size, like)
    logits = small.run(network_input(next(scene.frames()), size))[0].transpose(2, 0, 1)
    share = border_share(np.asarray(logits, np.float32))
    for suffix, how, run in (
        ("", "as published", published_run(published.run, size)),
        (_MASKED, "our masks", rewritten_run(small.run, size)),
    ):
        key = f"{other.key}{suffix}"
        contender: Contender = plain(key, run, scene)
        yield Form(Entry(key, f"{other.what}, {how}", OTHER, like.precision, contender), other, share)


def _ratios(models: Sequence[str], others: Sequence[str], times: dict[str, Times]) -> Iterator[dict]:
    """How many times faster DCFM is: a frame by medians, K = 6 by means; the median over rounds, with their
    quartiles."""
    for name in models:
        fast = {"median": f"{name}/frame", "mean": f"{name}/sync_k{K}"}
        slow = {key: times[key] for key in others}
        own = {key: found for key, found in times.items() if key.startswith(f"{name}/")}
        candidates = [found for key, found in own.items() if key not in fast.values()]
        slow[f"{name}/fastest per frame"] = fastest(candidates)
        for key, found in slow.items():
            for statistic, ours in fast.items():
                yield {
                    "slow": key,
                    "fast": ours,
                    "of": statistic,
                    **plain_ratio(ratio(found, times[ours], STATISTICS[statistic])),
                }


def table(report: dict) -> str:
    """The report as text."""
    camera, size = ("{}x{}".format(*report[what]) for what in ("camera", "input"))
    lines = [
        report["command"],
        f"height x width: camera {camera}, network input {size}; {report['options']['classes']} classes; "
        f"OpenVINO, {report['precision']}; {report['machine']['cpu']}",
        f"{report['rounds']} rounds in {report['seconds']:.0f} s, everyone in turn",
        "",
    ]
    cells = [["image in to mask out, ms", "median", "p99", "mean", "samples"]]
    for found in report["rows"]:
        milliseconds = (f"{found[what]:.1f}" for what in ("median_ms", "p99_ms", "mean_ms"))
        cells.append([found["what"], *milliseconds, str(found["samples"])])
    lines += [*aligned(cells), ""]
    cells = [["times faster", "a frame", "quartiles", f"mean, K = {K}", "quartiles"]]
    ratios = report["ratios"]
    for frame, mean in zip(ratios[::2], ratios[1::2], strict=True):
        cells.append([f"{frame['fast'].rpartition('/')[0]} than {frame['slow']}"])
        for found in (frame, mean):
            cells[-1] += [f"{found['ratio']:.2f}", f"{found['low']:.2f} - {found['high']:.2f}"]
    lines += [*aligned(cells), "", "published accuracies, mIoU:"]
    for found in report["rows"]:
        if not found["key"].endswith(_MASKED):
            lines += (
                f"  {found['key']}: {of['miou']:g} %, {of['data']}, {of['input']}: {of['source']}"
                for of in found.get("published", ())
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    def make(options: Options, command: str) -> dict:
        return {"command": command, **against_others(options)}

    run_study("scripts/studies/against_others.py", __doc__, Options, make, table, arguments)


if __name__ == "__main__":
    main()
