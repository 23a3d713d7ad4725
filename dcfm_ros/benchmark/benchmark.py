# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm benchmark`: who takes part, on which images, and what came of it."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields

from tqdm import tqdm

from dcfm_ros.benchmark.contenders import masks_on_host
from dcfm_ros.benchmark.interleave import interleave
from dcfm_ros.benchmark.kernels import can_profile, longest_kernels
from dcfm_ros.benchmark.networks import Networks, load_networks, random_networks
from dcfm_ros.benchmark.participants import Pipeline, per_frame_entries
from dcfm_ros.benchmark.report import (
    DCFM,
    GROUPS,
    GUARANTEE,
    KERNELS,
    PER_FRAME,
    SCHEDULES,
    STEPS,
    UPSAMPLING,
    guarantees,
    ratios,
    rounded,
    row,
)
from dcfm_ros.benchmark.scene import Scene, open_scene
from dcfm_ros.benchmark.steps import StepByStep
from dcfm_ros.benchmark.upsampling import Upsampling, measured_border_share
from dcfm_ros.model.build import Model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.folder import load_model_config
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.versions import versions
from dcfm_ros.pipeline.backends import Backend, Sharing, make_backend
from dcfm_ros.pipeline.backends.base import stop_backend
from dcfm_ros.pipeline.cpu_gate import sharing
from dcfm_ros.pipeline.memory import keep_freed_memory, keep_what_is_there
from dcfm_ros.pipeline.settings import DEFAULT_MODEL, PipelineConfig
from dcfm_ros.reports.machine import machine

_DEFAULT_SIZE = (ModelConfig.input_height, ModelConfig.input_width)


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to measure, on what, for how long."""

    model: str | None = None  # name or folder, DCFM or per-frame; None without a backbone: the built-in one
    backbone: str | None = None  # instead of a model: random weights
    classes: int | None = None  # with a backbone; 11
    size: tuple[int, int] | None = None  # network input (height, width), as a budget of pixels; the model's
    camera: tuple[int, int] | None = None  # (height, width); that of the network input
    source: str = "synthetic"  # of the images
    backend: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    turns: str = PipelineConfig.turns.value  # of frames and deep path
    rate_hz: float = 15.0  # of the paced rows
    seconds: float = 120.0  # but three rounds at least
    only: tuple[str, ...] = GROUPS  # groups of rows

    def __post_init__(self):
        if self.backbone is None and self.classes is not None:
            raise ValueError(
                f"classes {self.classes}: a model has its own; give the number with a backbone only"
            )
        if self.backbone is not None and self.model is not None:
            raise ValueError(f"model {self.model} and backbone {self.backbone}: give one of them")
        if self.classes is not None and not 2 <= self.classes <= 255:
            raise ValueError(f"classes {self.classes}: use 2 to 255")
        for name in ("size", "camera"):
            if (value := getattr(self, name)) is not None and not all(32 <= side <= 8192 for side in value):
                raise ValueError(f"{name} {value[0]}x{value[1]}: use 32 to 8192 pixels for height and width")
        for name in ("seconds", "rate_hz"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)}: use a number above 0")
        if unknown := [name for name in self.only if name not in GROUPS]:
            raise ValueError(f"unknown group {unknown[0]!r} in only: use some of {', '.join(GROUPS)}")
        if not self.only:
            raise ValueError(f"nothing to measure: give some of {', '.join(GROUPS)}")
        self.pipeline  # refuses what pipelines refuse  # noqa: B018

    @property
    def pipeline(self) -> PipelineConfig:
        """Of all rows; each puts in its own mode and scheduler."""
        return PipelineConfig(turns=self.turns)

    def command(self) -> str:
        """The command line that gives these options."""
        words = ["dcfm", "benchmark"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            if field.name in ("size", "camera"):
                value = "x".join(map(str, value))
            elif isinstance(value, tuple):
                value = ",".join(value)
            words += (
                [str(value)]
                if field.name == "model"
                else ["--" + _OPTIONS.get(field.name, field.name), str(value)]
            )
        return shlex.join(words)


_OPTIONS = {"rate_hz": "rate"}  # fields that are called otherwise on the command line


def benchmark(options: BenchmarkOptions) -> dict:
    """Measure; returns the report, plain values for JSON."""
    keep_freed_memory()  # as the node does
    networks, scene = _networks_and_scene(options)
    config = networks.config
    budget = (config.input_height, config.input_width)
    size = input_size(scene.size, budget)
    with ExitStack() as stack:

        def make(model: Model, shared: Sharing = Sharing.NONE) -> Backend:
            backend = make_backend(options.backend, model, options.device, options.precision, shared)
            stack.callback(stop_backend, backend)
            return backend

        backend = make(networks.dcfm, sharing(options.pipeline))  # as the node does, in either kind of mode
        waited_for = make(networks.dcfm) if {DCFM, SCHEDULES} & set(options.only) else backend
        share = measured_border_share(backend, scene, size)
        wanted, pipeline, entries = (
            options.only,
            Pipeline(backend, waited_for, budget, options.pipeline, scene),
            [],
        )
        if PER_FRAME in wanted:
            entries += per_frame_entries(networks.per_frame, make(networks.per_frame), scene)
        if DCFM in wanted:
            entries += pipeline.frames()
        if SCHEDULES in wanted:
            entries += pipeline.schedules()
        if GUARANTEE in wanted:
            entries += pipeline.guarantee(options.rate_hz)
        split = StepByStep(backend, scene, size) if STEPS in wanted else None
        upsampling = (
            Upsampling(backend, scene, size) if UPSAMPLING in wanted and masks_on_host(backend) else None
        )
        contenders = [entry.contender for entry in entries]
        for part in (split, upsampling):
            contenders += part.contenders if part else []
        is_profiled = KERNELS in wanted and can_profile(backend)
        if not contenders and not is_profiled:
            raise ValueError(
                f"{', '.join(wanted)}: backend {backend.name} on {backend.device} has nothing of it; "
                f"give some of {', '.join(GROUPS)}; kernels are those of backend torch"
            )
        keep_what_is_there()  # as the node does
        began = time.monotonic()
        times = {}
        if contenders:
            with tqdm(
                bar_format=f"measuring: {{n:.0f}} of about {options.seconds:.0f} s", disable=None
            ) as bar:
                times = interleave(
                    contenders, options.seconds, on_round=lambda elapsed: bar.update(elapsed - bar.n)
                )
        seconds = time.monotonic() - began
        kernels = longest_kernels(backend, scene, size) if is_profiled else []

    rows = [row(entry, times[entry.key]) for entry in entries]
    return {
        "command": options.command(),
        "options": asdict(options),
        "model": {
            "name": options.model or options.backbone or DEFAULT_MODEL,
            "weights": networks.weights,
            "backbone": config.backbone,
            "classes": len(config.classes),
            "input": list(size),
            "border_share": rounded(share),
        },
        "camera": list(scene.size),
        "source": {"name": options.source, "frames": len(scene.images)},
        "backend": {"name": backend.name, "device": backend.device, "precision": backend.precision},
        "machine": machine(),
        "versions": versions(),
        "rounds": len(times[contenders[0].name].bursts) if contenders else 0,
        "seconds": rounded(seconds),
        "rows": rows,
        "ratios": ratios(rows, times),
        "guarantees": guarantees(times, options.rate_hz),
        **(split.report(times) if split else {"steps": [], "slices": None, "transfers": None}),
        "upsampling": upsampling.report(times) if upsampling else [],
        "kernels": kernels,
    }


def _networks_and_scene(options: BenchmarkOptions) -> tuple[Networks, Scene]:
    if options.backbone is not None:
        size = options.size or options.camera or _DEFAULT_SIZE
        scene = open_scene(options.source, options.camera or size)
        return random_networks(options.backbone, options.classes or 11, scene.size, size), scene
    name = options.model or DEFAULT_MODEL
    config = load_model_config(name)
    size = options.size or (config.input_height, config.input_width)
    scene = open_scene(options.source, options.camera or size)
    return load_networks(name, scene.size, options.size), scene
