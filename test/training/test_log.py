# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The log of a training: JSON lines, the same after a resumption, and TensorBoard."""

import json
import sys

import pytest
import torch

from dcfm_ros import files
from dcfm_ros.training.log import BOARD_FOLDER, LOG_FILE, TrainingLog


@pytest.fixture
def config(train_config):
    return train_config(iterations=12, batch=3)


@pytest.fixture(autouse=True)
def every_four(monkeypatch):
    monkeypatch.setattr(TrainingLog, "EVERY", 4)


def losses(iteration):
    return torch.tensor([iteration, 2.0 * iteration, 0.1])


def lines_of(out):
    return [json.loads(line) for line in (out / LOG_FILE).read_text().splitlines()]


def without_speed(lines):
    return [{key: value for key, value in line.items() if key != "images_per_s"} for line in lines]


def run(log, first, last):
    for iteration in range(first, last):
        log.add(iteration, losses(iteration))


def test_lines(config, tmp_path):
    log = TrainingLog(tmp_path, config)
    assert log.losses == {}
    run(log, 0, 2)
    assert log.losses == {"ce_key": 0.5, "ce_nonkey": 1.0, "consistency": 0.1}  # so far
    run(log, 2, 10)
    log.validated(10, {"score": 0.51235, "keyframe": 0.5})
    log.close()
    lines = lines_of(tmp_path)
    assert without_speed(lines) == [
        {
            "iteration": 4,
            "ce_key": 1.5,
            "ce_nonkey": 3.0,
            "consistency": 0.1,
            "learning_rate": config.learning_rate(3),
        },
        {
            "iteration": 8,
            "ce_key": 5.5,
            "ce_nonkey": 11.0,
            "consistency": 0.1,
            "learning_rate": config.learning_rate(7),
        },
        {"iteration": 10, "validation": {"score": 0.51235, "keyframe": 0.5}},
    ]
    assert lines[0]["images_per_s"] > 0 and log.losses == {
        "ce_key": 5.5,
        "ce_nonkey": 11.0,
        "consistency": 0.1,
    }


def test_a_resumed_log_is_that_of_one_run(config, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    run(TrainingLog(whole, config), 0, 12)
    first = TrainingLog(parts, config)
    run(first, 0, 6)
    kept = json.loads(json.dumps(first.state()))
    run(first, 6, 11)  # beyond the checkpoint: done again, and so written again
    with (parts / LOG_FILE).open("a") as file:
        file.write('{"iteration": 1')  # killed while it wrote
    run(TrainingLog(parts, config, 6, kept), 6, 12)
    assert without_speed(lines_of(parts)) == without_speed(lines_of(whole)) and len(lines_of(whole)) == 3


def test_a_resumption_that_is_interrupted_spares_the_log(config, tmp_path, monkeypatch):
    run(TrainingLog(tmp_path, config), 0, 8)
    before = (tmp_path / LOG_FILE).read_text()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        TrainingLog(tmp_path, config, 4)
    assert (tmp_path / LOG_FILE).read_text() == before
    monkeypatch.undo()
    TrainingLog(tmp_path, config, 4)
    assert not list(tmp_path.glob("*.part")) and [line["iteration"] for line in lines_of(tmp_path)] == [4]


def test_a_new_training_starts_a_new_log(config, tmp_path):
    run(TrainingLog(tmp_path, config), 0, 4)
    TrainingLog(tmp_path, config)
    assert lines_of(tmp_path) == []


def test_one_process_of_a_group_writes(config, tmp_path):
    run(TrainingLog(tmp_path, config, enabled=False, tensorboard=True), 0, 12)
    assert not (tmp_path / LOG_FILE).exists() and not (tmp_path / BOARD_FOLDER).exists()


def test_no_progress_bar_in_files(config, tmp_path, capfd):
    log = TrainingLog(tmp_path, config)
    run(log, 0, 4)
    log.bar.refresh()
    log.close()
    assert capfd.readouterr().err == "" and lines_of(tmp_path)


def test_the_progress_bar_tells_terms_rate_and_speed(config, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    log = TrainingLog(tmp_path, config)
    run(log, 0, 4)
    log.bar.refresh()
    log.close()
    shown = capfd.readouterr().err
    assert "4/12" in shown and "ce_key=1.5 ce_nonkey=3 consistency=0.1 lr=0.001 images/s=" in shown


def test_tensorboard(config, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = TrainingLog(tmp_path, config, tensorboard=True)
    run(log, 0, 8)
    log.validated(8, {"score": 0.25})
    log.close()
    events = accumulator.EventAccumulator(str(tmp_path / BOARD_FOLDER))
    events.Reload()
    names = {
        "train/ce_key",
        "train/consistency",
        "train/learning_rate",
        "train/images_per_s",
        "validation/score",
    }
    assert names <= set(events.Tags()["scalars"])
    assert [(event.step, event.value) for event in events.Scalars("train/ce_key")] == [(4, 1.5), (8, 5.5)]


def test_tensorboard_is_imported_only_when_used(config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    TrainingLog(tmp_path, config)
    with pytest.raises(
        RuntimeError, match="TensorBoard is missing: pip install tensorboard, or train without --tensor"
    ):
        TrainingLog(tmp_path, config, tensorboard=True)
