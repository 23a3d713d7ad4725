# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures points of the study of scale, each with a fresh backend, on the cores that this process has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from studies.scale_points import Point

from dcfm_ros.benchmark.contenders import ALWAYS, NEVER, PipelineRow
from dcfm_ros.benchmark.interleave import Contender, Laps, Run, Times, interleave
from dcfm_ros.benchmark.networks import random_networks
from dcfm_ros.benchmark.report import rounded
from dcfm_ros.benchmark.scene import Scene, open_scene
from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import load_model, save_model
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.image import resized
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.base import stop_backend
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.memory import settle_memory
from dcfm_ros.pipeline.settings import Mode, PipelineConfig

_ROWS, _IMAGES = 360, 10  # rows of the images that are rendered, and their number; then they are resized
_FIT_SIZE = (96, 128)  # of images to which random networks are fitted; their weights fit any size
_BURST_S = 0.15


@dataclass(frozen=True)
class Backends:
    """What backends are made with."""

    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"


def measured(point: Point, models: Path, how: Backends, seconds: float) -> dict:
    """The report of a point: milliseconds of a frame and of a keyframe; with several cameras, of one of each.

    models: where models with random weights are kept
    """
    model = _model(point, models)
    scene = _scene(point.camera)
    backend = make_backend(how.backend, model, how.device, how.precision)
    try:
        rows = {
            "frame": PipelineRow("frame", backend, point.network, PipelineConfig(Mode.SYNC, NEVER)),
            "keyframe": PipelineRow("keyframe", backend, point.network, PipelineConfig(Mode.SYNC, ALWAYS)),
        }
        contenders = [_of_all_cameras(row, scene, point.cameras) for row in rows.values()]
        settle_memory()  # as the node does
        times = interleave(contenders, seconds, burst_s=_BURST_S)
    finally:
        stop_backend(backend)
    return {
        **asdict(point),
        "input": list(input_size(point.camera, point.network)),
        "precision": backend.precision,
        **{name: _figures(times[name]) for name in rows},
    }


def _figures(times: Times) -> dict:
    return {
        "median_ms": rounded(times.percentile(50)),
        "p99_ms": rounded(times.percentile(99)),
        "samples": len(times.samples),
    }


def _of_all_cameras(row: PipelineRow, scene: Scene, cameras: int) -> Contender:
    """One image of each camera after the other."""

    @contextmanager
    def every() -> Iterator[Run]:
        with row.open() as run:

            def run_all(frame: Frame, watch: Laps) -> None:
                for number in range(cameras):
                    run(replace(frame, camera=str(number)), watch)

            yield run_all

    return row.contender(scene, open=every, settle=1, least=1)


def _model(point: Point, models: Path) -> Model:
    folder = models / f"{point.backbone}_{point.classes}"
    if not folder.is_dir():
        save_model(folder, random_networks(point.backbone, point.classes, _FIT_SIZE, _FIT_SIZE).dcfm)
    return load_model(folder)


@cache
def _rendered(size: tuple[int, int]) -> Scene:
    return open_scene("synthetic", size)


def _scene(camera: tuple[int, int]) -> Scene:
    """Images of any size: rendering large ones takes minutes."""
    scene = _rendered((_ROWS, 2 * round(_ROWS * camera[1] / camera[0] / 2)))
    return replace(scene, images=[resized(image, camera) for image in scene.images[:_IMAGES]])
