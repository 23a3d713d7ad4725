# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: it learns, resumes to the same course, and keeps its last good checkpoint."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers import tiny_config, tiny_model
from training_helpers import log_of, record_of, run, same, state_of, weights

from dcfm_ros.model.folder import load_model, save_model
from dcfm_ros.model.image import normalised
from dcfm_ros.training import group, loop, optimiser
from dcfm_ros.training import step as steps
from dcfm_ros.training.checkpoint import LAST, STATE_FILE, TrainingError
from dcfm_ros.training.data import PairBatches
from dcfm_ros.training.datasets import open_data
from dcfm_ros.training.log import LOG_FILE, TrainingLog
from dcfm_ros.training.loop import default_workers, train
from dcfm_ros.training.pairs import DataError
from dcfm_ros.training.settings import DataConfig, SourceConfig
from dcfm_ros.training.start import new_model


class Interrupted(Exception):
    pass


@pytest.fixture
def log_every(monkeypatch):
    return lambda count: monkeypatch.setattr(TrainingLog, "EVERY", count)


VARIANTS = {
    "adamw": {},
    "mixed": {"amp": True},
    "sgd": {"optimiser": "sgd", "decay_norms": True, "clip_norm": 0, "class_balance": 0},
    "per_frame": {"model": tiny_config(architecture="per_frame")},
    "resnet": {"model": tiny_config(backbone="resnet18", common_width=16, head_layers=1)},
    "drop_path": {"model": tiny_config(drop_path=0.3)},
    "channels_last": {"channels_last": True},
    "aligned": {"aligned": 0.7},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant, workers",
    [
        *((variant, 0) for variant in VARIANTS),
        ("aligned", 2),  # what workers pass is most with motion
        pytest.param("mixed", 2, marks=pytest.mark.nightly),
    ],
)
def test_a_resumed_run_takes_the_same_course(
    train_config, tmp_path, monkeypatch, log_every, variant, workers
):
    log_every(2)  # the checkpoint that is gone on with has half of the line's losses
    config = train_config(iterations=2, save_every=1, **VARIANTS[variant])
    whole = weights(run(config, tmp_path / "whole", workers=workers).folder)
    step, seen = loop.step, []

    def interrupted(*arguments):
        seen.append(arguments[5])
        if len(seen) == 2:
            raise Interrupted
        return step(*arguments)

    monkeypatch.setattr(loop, "step", interrupted)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "halves", workers=workers)
    assert not same(weights(tmp_path / "halves" / LAST), whole)
    assert same(weights(run(config, tmp_path / "halves", workers=workers, resume=True).folder), whole)
    assert seen == [0, 1, 1] and log_of(tmp_path / "halves") == log_of(tmp_path / "whole")
    if variant == "adamw":  # there is nothing left to do, and nothing changes
        outcome = run(config, tmp_path / "halves", resume=True)
        assert same(weights(outcome.folder), whole) and len(seen) == 3 and outcome.code == 0


@pytest.mark.slow
def test_resuming_without_a_checkpoint_starts_at_the_beginning(train_config, tmp_path):
    outcome = run(train_config(iterations=1), tmp_path / "new", resume=True)
    assert outcome.folder == tmp_path / "new" / LAST and load_model(outcome.folder)
    assert (
        outcome.code == 0 and outcome.note == f"1 of 1 iterations are done. The model is in {outcome.folder}."
    )


@pytest.mark.slow
def test_a_longer_training_goes_on(train_config, tmp_path):
    config = train_config(iterations=1)
    run(config, tmp_path / "run")
    assert (
        record_of(run(train_config(iterations=2), tmp_path / "run", resume=True).folder)["iterations_done"]
        == 2
    )


def test_training_twice_into_one_folder_is_an_error(train_config, tmp_path):
    run(train_config(iterations=1), tmp_path / "run")
    with pytest.raises(TrainingError, match="run already contains a training: give --resume"):
        run(train_config(iterations=1), tmp_path / "run")


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_training_and_spares_the_checkpoint(
    train_config, tmp_path, monkeypatch
):
    losses, calls = steps.symmetric_losses, []

    def poisoned(*arguments):
        calls.append(1)
        found = losses(*arguments)
        return found._replace(ce_key=found.ce_key * float("nan")) if len(calls) == 4 else found

    good = weights(run(train_config(iterations=2, save_every=2), tmp_path / "good").folder)
    monkeypatch.setattr(steps, "symmetric_losses", poisoned)
    config = train_config(iterations=6, save_every=2)
    origins = [pair.origin for pair in PairBatches(config, open_data(config)[0]).pairs(3)]
    with pytest.raises(TrainingError) as error:
        run(config, tmp_path / "bad")
    assert str(error.value) == (
        "the loss is nan in iteration 3: the last checkpoint is intact; lower the rate, or look at its "
        f"batch: {origins[0]}; {origins[1]}"
    )
    assert origins[0].startswith("stills (no splits) ")
    assert same(weights(tmp_path / "bad" / LAST), good) and state_of(tmp_path / "bad")["iteration"] == 2


def test_a_gradient_that_is_not_finite_stops_training(train_config, tmp_path, monkeypatch):
    losses = steps.symmetric_losses

    class Infinite(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("inf")

    def poisoned(*arguments):
        found = losses(*arguments)
        return found._replace(ce_key=Infinite.apply(found.ce_key))

    monkeypatch.setattr(steps, "symmetric_losses", poisoned)
    with pytest.raises(
        TrainingError, match="the gradient's norm is (nan|inf) in iteration 0: the last checkpoint is intact"
    ):
        run(train_config(clip_norm=0), tmp_path / "run")
    assert not (tmp_path / "run" / STATE_FILE).exists()


@pytest.mark.parametrize("workers", (0, 2))
def test_unreadable_data_stop_training_with_the_name_of_the_file(train_config, stills, tmp_path, workers):
    config = train_config(iterations=60, save_every=1, class_balance=0)
    path = stills / "labels" / "a_0.png"
    assert cv2.imwrite(str(path), np.full((64, 96), 9, np.uint8))
    message = rf"label {path} holds 9 at row 0, column 0, but there are 4 classes; use 0 to 3, or 255"
    with pytest.raises(DataError, match=message):
        run(config, tmp_path / "run", workers=workers)


def test_missing_files_are_told_before_anything_starts(train_config, stills, tmp_path):
    (stills / "labels" / "a_1.png").unlink()
    with pytest.raises(DataError, match="lacks 1 file.*a_1.png"):
        run(train_config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_log_and_record(train_config, tmp_path, log_every):
    log_every(2)
    config, out = train_config(iterations=4, save_every=4), tmp_path / "run"
    outcome, lines = run(config, out), log_of(tmp_path / "run")
    assert [line["iteration"] for line in lines] == [2, 4]
    for line in lines:
        assert set(line) == {"iteration", "ce_key", "ce_nonkey", "consistency", "learning_rate"}
        assert line["ce_key"] > 0 and line["consistency"] >= 0
        assert line["learning_rate"] == config.learning_rate(line["iteration"] - 1)
    record = record_of(outcome.folder)
    assert record["iterations_done"] == 4 and record["hours"] >= 0
    assert record["losses"] == {key: lines[-1][key] for key in ("ce_key", "ce_nonkey", "consistency")}
    assert record["data"] == [{"name": "stills (no splits)", "terms": "made by the test"}]
    assert not list(out.rglob("*.part")) and {path.name for path in out.iterdir()} == {
        LAST,
        LOG_FILE,
        STATE_FILE,
    }


@pytest.mark.slow
def test_it_learns(train_config, tmp_path, log_every):
    log_every(6)
    config = train_config(iterations=30, warmup=5, save_every=30)
    folder, lines = run(config, tmp_path / "run").folder, log_of(tmp_path / "run")
    for term in ("ce_key", "ce_nonkey"):
        assert lines[-1][term] < 0.5 * lines[0][term], lines
    model = load_model(folder)
    batch = PairBatches(config, open_data(config)[0])[0]
    with torch.inference_mode():
        right = (model(normalised(batch.labelled, model.config.normalisation)).argmax(1) == batch.labels)[
            batch.labels != 255
        ]
    assert right.float().mean() > 0.5  # batch-norm statistics lag behind after so few iterations


@pytest.mark.slow
def test_neighbours_without_labels(train_config, video, tmp_path):
    """Published training: one labelled frame of each pair."""
    data = DataConfig(sources=(SourceConfig("folder", root=str(video)),), radius=1, neighbour_labels=False)
    folder = run(train_config(iterations=2, data=data), tmp_path / "run").folder
    assert all(value.isfinite().all() for value in weights(folder).values())


@pytest.mark.slow
def test_crops_need_not_be_multiples_of_32(train_config, tmp_path):
    config = train_config(iterations=1)
    config = replace(config, phases=(replace(config.phases[0], height=66, width=85),))
    for number, backbone in enumerate(("mit_b0", "resnet18")):
        model = tiny_config(backbone=backbone)
        folder = run(replace(config, model=model), tmp_path / f"run{number}").folder
        assert all(value.isfinite().all() for value in weights(folder).values())


def test_bfloat16(train_config, tmp_path):
    folder = run(train_config(iterations=1, amp=True), tmp_path / "run").folder
    assert (
        all(value.isfinite().all() for value in weights(folder).values())
        and "bfloat16" in record_of(folder)["hardware"]
    )


@pytest.mark.slow
def test_float16_scales_its_loss_and_resumes(train_config, tmp_path, monkeypatch):
    """What a GPU without bfloat16 does. The first steps overflow and are left out until the scale is small
    enough."""
    monkeypatch.setattr(optimiser, "lowest_type", lambda device: torch.float16)
    config = train_config(iterations=2, batch=1, save_every=1, amp=True)
    whole = weights(run(config, tmp_path / "whole").folder)
    assert (
        all(value.isfinite().all() for value in whole.values())
        and state_of(tmp_path / "whole")["scaler"]["scale"] > 0
    )
    step, seen = loop.step, []

    def interrupted(*arguments):
        seen.append(1)
        if len(seen) == 2:
            raise Interrupted
        return step(*arguments)

    monkeypatch.setattr(loop, "step", interrupted)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "halves")
    assert same(weights(run(config, tmp_path / "halves", resume=True).folder), whole)


@pytest.mark.slow
def test_training_starts_from_another_model_with_other_classes(train_config, tmp_path):
    save_model(tmp_path / "start", tiny_model(5, seed=3))
    config = train_config(init=str(tmp_path / "start"), iterations=1, rate=1e-9)
    found, start = weights(run(config, tmp_path / "run").folder), weights(tmp_path / "start")
    assert torch.allclose(found["head.classifier.weight"], start["head.classifier.weight"][:4], atol=1e-6)
    (tmp_path / "start" / "model.yaml").unlink()  # is not needed any more
    run(replace(config, phases=(replace(config.phases[0], iterations=2),)), tmp_path / "run", resume=True)


@pytest.mark.slow
def test_new_models_are_the_same_for_the_same_seed(train_config):
    one, other, third = (new_model(train_config(seed=seed)).state_dict() for seed in (0, 0, 1))
    assert same(one, other) and not same(one, third)
    assert one["head.classifier.weight"].std() == pytest.approx(0.5, rel=0.1)


def test_default_workers(monkeypatch):
    for cores, processes, workers in ((2, 1, 2), (64, 1, 8), (16, 4, 4), (2, 4, 1)):
        monkeypatch.setattr(group.os, "sched_getaffinity", lambda _: range(cores))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert default_workers() == workers


@pytest.mark.parametrize(
    "options, message",
    [({"workers": -1}, "workers -1: use 0 or more"), ({"minutes": 0}, "minutes 0: use a number above 0")],
)
def test_bad_options(train_config, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(train_config(), tmp_path / "run", **options)


@pytest.mark.parametrize(
    "device, message",
    [
        ("gpu", "device 'gpu': use auto, cpu, cuda or cuda:N"),
        ("cuda:99", r"device cuda:99: GPU 99 is requested, but PyTorch finds \d+; use cpu, fewer processes"),
    ],
)
def test_bad_devices(train_config, tmp_path, device, message):
    with pytest.raises(ValueError, match=message):
        train(train_config(), tmp_path / "run", device=device)
