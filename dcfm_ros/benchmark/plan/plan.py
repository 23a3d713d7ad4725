# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm plan`: measures each model, and tells which fit."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm

from dcfm_ros.benchmark.plan.measured import Job, Row
from dcfm_ros.benchmark.plan.options import PlanOptions
from dcfm_ros.benchmark.plan.parameters_file import check_place
from dcfm_ros.benchmark.plan.process import measure_apart
from dcfm_ros.benchmark.plan.verdict import row_of
from dcfm_ros.model.model_yaml import built_in_models
from dcfm_ros.model.stored import StoredModel


def plan(options: PlanOptions) -> list[Row]:
    """Measure the models one after the other; returns a row of each, in the order given."""
    if options.out:
        check_place(options.out)
    models = list(dict.fromkeys(options.models)) or built_in_models()
    for model in models:
        StoredModel(model)  # raises its error before others are measured
    each_s = options.seconds / len(models)
    rows = []
    with _Progress(options.seconds) as progress:
        for number, model in enumerate(models):
            progress.begin(model, number * each_s)
            rows.append(row_of(measure_apart(_job(options, model, each_s), progress.tell)))
    return rows


def _job(options: PlanOptions, model: str, seconds: float) -> Job:
    return Job(
        model,
        options.backend,
        options.device,
        options.precision,
        options.mask_size,
        options.image_size,
        options.rate_hz,
        options.cameras,
        options.share,
        len(os.sched_getaffinity(0)),
        seconds,
    )


class _Progress:
    """What is being measured and how long it still takes, on stderr: a line that changes, or lines where
    stderr is no terminal."""

    def __init__(self, seconds: float):
        self._bar = tqdm(total=seconds, bar_format="{desc}", disable=None)
        self._seconds, self._model, self._before_s, self._what = seconds, "", 0.0, ""

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def begin(self, model: str, done_s: float) -> None:
        self._model, self._before_s = model, done_s

    def tell(self, what: str, done_s: float) -> None:
        """what: that begins now; empty: it goes on. done_s: of this model's seconds"""
        left_s = max(0.0, self._seconds - self._before_s - done_s)
        self._what = what or self._what
        text = f"{self._model}: {self._what}; about {left_s:.0f} s of measuring left"
        if not self._bar.disable:
            self._bar.set_description_str(text)
        elif what:
            tqdm.write(text, file=sys.stderr)
