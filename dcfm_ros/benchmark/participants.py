# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a benchmark: which contenders there are, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

from dcfm_ros.benchmark.contenders import (
    ALWAYS,
    NEVER,
    EveryCellABorder,
    PipelineRow,
    PublishedNetwork,
    RewrittenNetwork,
    adaptive,
    fixed_interval,
    masks_on_host,
    plain,
    published_run,
    rewritten_run,
)
from dcfm_ros.benchmark.hugging_face import TransformersNetwork
from dcfm_ros.benchmark.interleave import Contender
from dcfm_ros.benchmark.options import DCFM, GUARANTEE, PER_FRAME, SCHEDULES
from dcfm_ros.benchmark.report import Entry
from dcfm_ros.benchmark.scene import Scene
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.backends.monolithic import compile_monolithic, in_torch
from dcfm_ros.pipeline.settings import Alignment, Mode, PipelineConfig, SchedulerConfig

INTERVALS = (2, 6)  # K of the paper's tables


def per_frame_entries(model: PerFrame, backend: Backend, scene: Scene, eager: bool = True) -> Iterator[Entry]:
    """Every frame on its own, in up to five forms. backend: of this model; eager: those of eager PyTorch,
    too."""
    budget = (model.config.input_height, model.config.input_width)
    size = input_size(scene.size, budget)
    published = PublishedNetwork(model, scene.size).eval()

    def entry(key: str, what: str, contender: Contender) -> Entry:
        return Entry(key, what, PER_FRAME, backend.precision, contender)

    if eager:
        yield from _eager_entries(model, published, size, backend, scene)
    whole = compile_monolithic(published, size, backend)
    yield entry(
        "published",
        f"as published, {whole.engine}",
        plain("published", published_run(whole.run, size), scene),
    )
    if masks_on_host(
        backend
    ):  # else logits never leave the device, and the pipeline's form is the best there is
        whole = compile_monolithic(RewrittenNetwork(model).eval(), size, backend)
        run = rewritten_run(whole.run, size)
        yield entry("rewritten", f"rewritten, {whole.engine}, our masks", plain("rewritten", run, scene))
    every = PipelineRow("pipeline", backend, budget, PipelineConfig(Mode.SYNC, ALWAYS))
    yield entry("pipeline", "rewritten, in the pipeline", every.contender(scene))


def _eager_entries(
    model: PerFrame, published: PublishedNetwork, size: tuple[int, int], backend: Backend, scene: Scene
) -> Iterator[Entry]:
    if model.config.is_mit and model.config.fusion == "linear" and find_spec("transformers"):
        network = TransformersNetwork(model, scene.size).eval()
        for key, precision in transformers_rows(backend):
            run = published_run(in_torch(network, backend.device, precision), size)
            how = "" if precision == "f32" else " in half precision"
            what = f"Hugging Face transformers{how}, eager PyTorch"
            yield Entry(key, what, PER_FRAME, precision, plain(key, run, scene))
    run = published_run(in_torch(published, backend.device), size)
    yield Entry("eager", "as published, eager PyTorch", PER_FRAME, "f32", plain("eager", run, scene))


def transformers_rows(backend: Backend) -> list[tuple[str, str]]:
    """(key, precision): in float32 as people mostly run it; on a GPU also in the backend's precision."""
    rows = [("transformers", "f32")]
    if backend.device.startswith("cuda") and backend.precision != "f32":
        rows.append(("transformers_half", backend.precision))
    return rows


class Pipeline:
    """Entries of DCFM, all by the segmenter. backend: for mode `async`; waited_for: for `sync`, of the same
    model;
    model_size: (H, W), the budget of pixels; config: for all."""

    def __init__(
        self,
        backend: Backend,
        waited_for: Backend,
        model_size: tuple[int, int],
        config: PipelineConfig,
        scene: Scene,
    ):
        self._backends = {Mode.ASYNC: backend, Mode.SYNC: waited_for}
        self._model_size, self._config, self._scene = model_size, config, scene

    def frames(self) -> Iterator[Entry]:
        """Both kinds of frames by themselves."""
        yield self._entry("keyframe", "keyframe", DCFM, self._row("keyframe", Mode.SYNC, ALWAYS))
        yield self._entry("shallow", "shallow frame", DCFM, self._row("shallow", Mode.SYNC, NEVER))
        if self._config.alignment is not Alignment.NONE:
            row = self._row("shallow_none", Mode.SYNC, NEVER)
            row.config = replace(row.config, alignment=Alignment.NONE)
            yield self._entry("shallow_none", "shallow frame, features not moved (as published)", DCFM, row)
        if masks_on_host(self._backends[Mode.SYNC]):
            worst = self._row("shallow_border", Mode.SYNC, NEVER)
            worst.backend = EveryCellABorder(worst.backend)
            yield self._entry("shallow_border", "shallow frame, every cell a border", DCFM, worst)

    def schedules(self) -> Iterator[Entry]:
        """Keyframes every K frames or when AKS wants them; waited for (sync) or made beside the frames
        (async)."""
        for mode in (Mode.SYNC, Mode.ASYNC):
            for interval in INTERVALS:
                row = self._row(f"{mode.value}_k{interval}", mode, SchedulerConfig(interval, interval))
                yield self._entry(
                    row.name, f"{mode.value}, K = {interval}", SCHEDULES, row, **fixed_interval(interval)
                )
            row = self._row(f"{mode.value}_aks", mode, SchedulerConfig())
            yield self._entry(
                row.name, f"{mode.value}, AKS", SCHEDULES, row, **adaptive(row.config.scheduler)
            )

    def guarantee(self, rate_hz: float) -> Iterator[Entry]:
        """Shallow frames without keyframes and with keyframes encoded all the time; back to back and at
        `rate_hz`."""
        paced = {"frames": lambda: self._scene.paced(rate_hz), "least": max(2, round(rate_hz))}
        for suffix, pace, how in (("", "back to back", {"least": 20}), ("_paced", f"{rate_hz:g} Hz", paced)):
            for name, what, scheduler in (
                ("alone", "no keyframes", NEVER),
                ("encoding", "keyframes all the time", ALWAYS),
            ):
                row = self._row(name + suffix, Mode.ASYNC, scheduler)
                yield self._entry(row.name, f"{what}, {pace}", GUARANTEE, row, settle=3, **how)

    def _row(self, name: str, mode: Mode, scheduler: SchedulerConfig) -> PipelineRow:
        return PipelineRow(
            name,
            self._backends[mode],
            self._model_size,
            replace(self._config, mode=mode, scheduler=scheduler),
        )

    def _entry(self, key: str, what: str, group: str, row: PipelineRow, **how) -> Entry:
        return Entry(
            key, what, group, row.backend.precision, row.contender(self._scene, **how), row.config.mode.value
        )
