# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of the segmenter: one whose deep path the test controls, and its reports."""

import threading
from collections import deque

import pytest
from pipeline_helpers import SIZE, FakeBackend, frame, wait

from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Alignment, Mode, PipelineConfig, SchedulerConfig
from dcfm_ros.pipeline.stream import run

MODES = list(Mode)


class Bench:
    """A segmenter and what it reported."""

    def __init__(self, mode, backend=None, model_size=SIZE, min_interval=1, max_interval=5, **options):
        self.backend = backend or FakeBackend()
        self.keyframes, self.errors = deque(), deque()
        self._done = threading.Event()  # is there something to collect?
        scheduling = {name: options.pop(name) for name in ("threshold", "cut_threshold") if name in options}
        config = PipelineConfig(
            mode,
            SchedulerConfig(min_interval, max_interval, **scheduling),
            alignment=options.pop("alignment", Alignment.FLOW),
        )
        options.setdefault("on_keyframe", self.keyframes.append)
        self.segmenter = Segmenter(
            self.backend,
            model_size,
            config,
            on_error=lambda camera, error: self.errors.append(error),
            **options,
        )

    def steps(self, tag, **fields):
        return self.segmenter.steps(frame(tag, **fields), self._done.set)

    def process(self, *tags, **fields):
        return [mask for tag in tags for mask in run(self.steps(tag, **fields))]

    def keyframe(self):
        return self._next(self.keyframes)

    def error(self):
        return self._next(self.errors)

    def _next(self, reports):
        while not reports:
            wait(self._done)
            self._done.clear()
            self.segmenter.collect()
        return reports.popleft()

    def block(self):
        """Block the deep path from now on."""
        while self.backend.deep_started.acquire(blocking=False):
            pass
        self.backend.gate.clear()

    def status(self, camera=""):
        return next(status for status in self.segmenter.status() if status.camera == camera)


@pytest.fixture
def bench():
    """Makes benches of which nothing stays."""
    made = []

    def make(mode=Mode.ASYNC, **options):
        made.append(Bench(mode, **options))
        return made[-1]

    yield make
    for bench in made:
        if isinstance(bench.backend, FakeBackend):
            bench.backend.gate.set()
        bench.segmenter.stop()
    names = [thread.name for thread in threading.enumerate()]
    left = [name for name in names if name.startswith("dcfm-") and "rows" not in name]
    assert not left, f"threads {left} of this test or of one before it go on"


def numbers(masks):
    return [mask.frame.image[0, 0, 0] for mask in masks]
