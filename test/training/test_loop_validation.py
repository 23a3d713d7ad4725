# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Validation while a model trains: the best is kept, and the course stays as it is."""

import pytest
import torch
from training_helpers import log_of, record_of, run, same, weights

from dcfm_ros.training import fit, loop
from dcfm_ros.training.checkpoint import BEST, LAST
from dcfm_ros.training.datasets import open_data
from dcfm_ros.training.group import Group
from dcfm_ros.training.settings import ValidationConfig


@pytest.fixture
def scored(monkeypatch):
    """Scores given one after the other instead of being measured."""

    def give(*scores):
        found = iter(scores)
        monkeypatch.setattr(loop, "score", lambda *_: {"score": (value := next(found)), "keyframe": value})

    return give


def validated(train_config, held_out, **settings):
    return train_config(validation=ValidationConfig("folder", root=str(held_out), every=1), **settings)


@pytest.mark.slow
def test_the_best_is_kept(train_config, held_out, tmp_path, scored):
    scored(0.2, 0.5, 0.4, 0.5)
    outcome = run(validated(train_config, held_out, iterations=4, save_every=4), tmp_path / "run")
    best, last = record_of(tmp_path / "run" / BEST), record_of(tmp_path / "run" / LAST)
    assert best["iterations_done"] == 2 and best["validation"] == {
        "iteration": 2,
        "score": 0.5,
        "keyframe": 0.5,
    }
    assert last["iterations_done"] == 4 and last["validation"]["iteration"] == 4
    assert outcome.note.endswith(
        f"The model is in {tmp_path / 'run' / LAST}, the best in {tmp_path / 'run' / BEST}."
    )
    scores = [line["validation"]["score"] for line in log_of(tmp_path / "run") if "validation" in line]
    assert scores == [0.2, 0.5, 0.4, 0.5]


@pytest.mark.slow
def test_the_best_is_known_after_a_resumption(train_config, held_out, tmp_path, scored):
    scored(0.2, 0.5, 0.4)
    run(validated(train_config, held_out, iterations=2), tmp_path / "run")
    run(validated(train_config, held_out, iterations=3), tmp_path / "run", resume=True)
    assert record_of(tmp_path / "run" / BEST)["iterations_done"] == 2


@pytest.mark.slow
def test_it_does_not_change_the_course(train_config, held_out, tmp_path):
    config = train_config(iterations=2)
    plain = weights(run(config, tmp_path / "plain").folder)
    folder = run(validated(train_config, held_out, iterations=2), tmp_path / "validated").folder
    assert same(weights(folder), plain) and 0 < record_of(folder)["validation"]["score"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("aligned", (0.0, 0.5))
def test_features_move_where_training_aligns(train_config, held_out, tmp_path, monkeypatch, aligned):
    """Also where a validation is only timed."""
    config, seen = validated(train_config, held_out, iterations=1, aligned=aligned), []
    for module in (loop, fit):
        monkeypatch.setattr(
            module, "score", lambda *arguments: seen.append(arguments[5]) or {"score": 0.5, "keyframe": 0.5}
        )
    run(config, tmp_path / "run")
    assert fit._validation_time(config, open_data(config), Group(0, 1, torch.device("cpu"))) >= 0.0
    assert seen == [aligned > 0] * 2
