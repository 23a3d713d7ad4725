# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of a model: cameras before the segmenter, costs, and the process that it is done in."""

import os
import signal
from dataclasses import replace
from multiprocessing import get_context

import pytest
from helpers import write_tiny_model
from plan_helpers import DRIVE, JOB

from dcfm_ros.benchmark.plan import process
from dcfm_ros.benchmark.plan.measure import corrected_costs, costs_of, measure
from dcfm_ros.benchmark.plan.measured import Measured
from dcfm_ros.benchmark.plan.process import measure_apart
from dcfm_ros.benchmark.plan.scene import camera_scene, megabytes
from dcfm_ros.benchmark.plan.schedule import Costs
from dcfm_ros.pipeline.backends import BackendError
from dcfm_ros.pipeline.settings import Mode


def test_costs_are_those_of_drives_without_and_with_keyframes():
    alone = replace(DRIVE, cpu_s=2.0, encode_ms=())
    encoding = replace(DRIVE, cpu_s=9.0)  # 35 keyframes in 10 s
    costs = costs_of(alone, encoding, 0.005, False)
    assert costs == Costs(0.02, pytest.approx(0.2), 3.5, 0.005)
    assert costs_of(alone, alone, 0.005, True) == Costs(0.02, 0.0, 0.0, 0.005, per_frame=True)
    assert corrected_costs(costs, replace(DRIVE, cpu_s=16.0)).keyframe_s == pytest.approx(0.4)
    assert corrected_costs(costs, replace(DRIVE, cpu_s=4.0)).keyframe_s == pytest.approx(0.2)
    assert corrected_costs(costs, alone) == costs


def test_images_of_any_size_and_little_memory():
    small, large = camera_scene((48, 64), 15.0), camera_scene((1080, 1920), 30.0)
    assert small.size == (48, 64) and len(small.images) == 45
    assert large.size == (1080, 1920) and len(large.images) == 10
    assert megabytes(small) == pytest.approx(45 * 48 * 64 * 3 / 2**20)


def job(model, **changes):
    changes = {"backend": "torch", "precision": "f32", "image_size": (64, 96), **changes}
    return replace(JOB, model=str(model), rate_hz=60.0, seconds=1.0, **changes)


@pytest.mark.slow
def test_two_cameras(tmp_path):
    told = []
    found = measure(
        job(write_tiny_model(tmp_path / "m"), cameras=2, share=1.0),
        lambda what, done_s: told.append((what, done_s)),
    )
    assert found.mode is Mode.ASYNC and found.network_size == (64, 96)
    assert found.drive.masks + found.drive.dropped >= 0.9 * found.drive.images > 20
    assert found.drive.keyframes and len(found.drive.ages_s) == found.drive.masks
    assert 0 < found.costs.frame_s < 1 and found.resident_mb > 50
    phases = [what for what, _ in told]  # a busy machine has one more
    assert phases.index("frames without keyframes") < phases.index("keyframes all the time")
    assert told[-1][1] > 0.8


@pytest.mark.slow
def test_a_per_frame_model(tmp_path):
    folder = write_tiny_model(tmp_path / "m", architecture="per_frame")
    found = measure(job(folder), lambda what, done_s: None)
    assert found.costs.per_frame and found.mode is Mode.SYNC and set(found.drive.ages_s) == {0.0}


@pytest.mark.slow
def test_in_a_process_of_its_own(tmp_path):
    told = []
    found = measure_apart(job(write_tiny_model(tmp_path / "m")), lambda what, done_s: told.append(what))
    assert isinstance(found, Measured) and "frames without keyframes" in told


def test_a_precision_that_the_backend_has_not(tmp_path):
    with pytest.raises(RuntimeError, match="precision 'f16': backend 'torch' computes in"):
        measure(job(write_tiny_model(tmp_path / "m"), precision="f16"), lambda what, done_s: None)


def _fail(job, tell, again):
    raise BackendError("precision 'f16': use f32")


def test_an_error_of_the_process_is_raised(monkeypatch):
    monkeypatch.setattr(process, "get_context", lambda kind: get_context("fork"))
    monkeypatch.setattr(process, "measure", _fail)
    with pytest.raises(RuntimeError, match="street11: precision 'f16': use f32"):
        measure_apart(JOB, lambda what, done_s: None)


def _die(job, tell, again):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies(monkeypatch):
    monkeypatch.setattr(process, "get_context", lambda kind: get_context("fork"))
    monkeypatch.setattr(process, "measure", _die)
    with pytest.raises(RuntimeError, match=r"street11: its process was killed \(SIGKILL\)"):
        measure_apart(JOB, lambda what, done_s: None)
