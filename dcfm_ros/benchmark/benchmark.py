# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm benchmark`: who takes part, on which images, and what came of it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict

from tqdm import tqdm

from dcfm_ros.benchmark.contenders import masks_on_host
from dcfm_ros.benchmark.interleave import interleave
from dcfm_ros.benchmark.kernels import can_profile, longest_kernels
from dcfm_ros.benchmark.networks import Networks, load_networks, random_networks
from dcfm_ros.benchmark.options import (
    DCFM,
    GROUPS,
    GUARANTEE,
    KERNELS,
    PER_FRAME,
    SCHEDULES,
    STEPS,
    UPSAMPLING,
    BenchmarkOptions,
)
from dcfm_ros.benchmark.participants import Pipeline, per_frame_entries
from dcfm_ros.benchmark.report import guarantees, ratios, rounded, row
from dcfm_ros.benchmark.scene import Scene, open_scene
from dcfm_ros.benchmark.steps import StepByStep
from dcfm_ros.benchmark.upsampling import Upsampling, measured_border_share
from dcfm_ros.model.build import Model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.model_yaml import load_model_config
from dcfm_ros.model.versions import versions
from dcfm_ros.pipeline.backends import Backend, Sharing, make_backend
from dcfm_ros.pipeline.backends.base import stop_backend
from dcfm_ros.pipeline.cpu_gate import sharing
from dcfm_ros.pipeline.memory import settle_memory, tune_malloc
from dcfm_ros.pipeline.settings import DEFAULT_MODEL
from dcfm_ros.reports.machine import machine

_DEFAULT_SIZE = (ModelConfig.input_height, ModelConfig.input_width)


def benchmark(options: BenchmarkOptions) -> dict:
    """Measure; returns the report, plain values for JSON."""
    tune_malloc()  # as the node does
    networks, scene = _networks_and_scene(options)
    config = networks.config
    budget = (config.input_height, config.input_width)
    size = input_size(scene.size, budget)
    with ExitStack() as stack:

        def make(model: Model, shared: Sharing = Sharing.NONE, precision: str = options.precision) -> Backend:
            backend = make_backend(options.backend, model, options.device, precision, shared)
            stack.callback(stop_backend, backend)
            return backend

        backend = make(networks.dcfm, sharing(options.pipeline))  # as the node does, in either kind of mode
        waited_for = make(networks.dcfm) if {DCFM, SCHEDULES} & set(options.only) else backend
        share = measured_border_share(backend, scene, size)
        wanted = options.only
        entries: list = []
        pipeline = Pipeline(backend, waited_for, budget, options.pipeline, scene)
        if PER_FRAME in wanted:
            # an export quantises the model alone, not its counterpart
            native = "auto" if options.precision == "int8" else options.precision
            per_frame = make(networks.per_frame, precision=native)
            entries += per_frame_entries(networks.per_frame, per_frame, scene)
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
        settle_memory()  # as the node does
        began = time.monotonic()
        times = {}
        if contenders:
            with tqdm(
                bar_format=f"measuring: {{n:.0f}} of about {options.seconds:.0f} s", disable=None
            ) as bar:

                def on_round(elapsed: float) -> None:
                    bar.update(elapsed - bar.n)

                times = interleave(contenders, options.seconds, on_round=on_round)
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
