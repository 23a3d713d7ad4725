# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training that is carried away from a GPU machine and goes on elsewhere."""

import json
from types import SimpleNamespace

import pytest
import torch
from gpu import carried
from helpers import write_tiny_model

from dcfm_ros.model.folder import load_model, save_model


@pytest.fixture
def trained(tmp_path):
    """A training folder with a model and a state, as `train` leaves it."""
    run = tmp_path / "run"
    write_tiny_model(run / "last")
    model = load_model(run / "last")
    save_model(run / "last", model, {"iterations_done": 7})
    optimiser = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-6
    optimiser.step()
    configuration = json.dumps({"phases": [{"iterations": 5}, {"iterations": 3}]})
    state = {
        "iteration": 7,
        "configuration": configuration,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    torch.save(state, run / "state.pt")
    (run / "log.jsonl").write_text('{"iteration": 7}\n')
    return SimpleNamespace(run=run, out=tmp_path / "out", state=state)


@pytest.mark.slow
def test_a_training_is_carried_away_and_back(trained, tmp_path):
    trained.out.mkdir()
    assert carried.carry(trained.run, trained.out) == ""
    whole = (trained.run / "state.pt").stat().st_size
    assert sum(path.stat().st_size for path in trained.out.rglob("*") if path.is_file()) < 0.55 * whole
    carried.carried_back(trained.out, tmp_path / "again")
    state = torch.load(tmp_path / "again" / "state.pt", weights_only=True)
    assert state["iteration"] == 7 and (tmp_path / "again" / "log.jsonl").read_text() == '{"iteration": 7}\n'
    assert state["model"].keys() == trained.state["model"].keys()
    for number, moments in trained.state["optimiser"]["state"].items():
        for name in ("exp_avg", "exp_avg_sq"):  # a square of 1e-6 would be 0 in float16
            found = state["optimiser"]["state"][number][name]
            assert found.dtype == torch.float32 and torch.allclose(found, moments[name], rtol=0.01, atol=0)


@pytest.mark.slow
def test_a_large_state_goes_in_parts_or_stays(trained, tmp_path, monkeypatch):
    trained.out.mkdir()
    monkeypatch.setattr(carried, "MOST_PART_BYTES", 6_000_000)
    assert carried.carry(trained.run, trained.out) == ""
    assert sorted(path.name for path in trained.out.glob("state.*")) == ["state.1", "state.2", "state.3"]
    carried.carried_back(trained.out, tmp_path / "again")
    monkeypatch.setattr(carried, "MOST_PART_BYTES", 1_000_000)
    assert "is too large to be carried" in carried.carry(trained.run, trained.out)


@pytest.mark.slow
def test_a_save_that_was_interrupted_is_noticed(trained, tmp_path):
    trained.out.mkdir()
    carried.carry(trained.run, trained.out)
    save_model(trained.out / "model", load_model(trained.run / "last"), {"iterations_done": 9}, half=True)
    with pytest.raises(
        ValueError, match="the model of iteration 9 and the state of 7: it was interrupted while it saved"
    ):
        carried.carried_back(trained.out, tmp_path / "again")
    with pytest.raises(FileNotFoundError, match="holds no training to go on with"):
        carried.carried_back(tmp_path, tmp_path / "again")


@pytest.mark.slow
def test_a_damaged_state_and_one_at_its_end_are_refused(trained, tmp_path):
    trained.out.mkdir()
    carried.carry(trained.run, trained.out)
    whole = (trained.out / "state.1").read_bytes()
    (trained.out / "state.1").write_bytes(whole[:5000] + bytes(100) + whole[5100:])
    with pytest.raises(
        ValueError, match="state.* is damaged, or of two checkpoints: start from the model with --init"
    ):
        carried.carried_back(trained.out, tmp_path / "again")
    torch.save({**trained.state, "iteration": 8}, trained.run / "state.pt")
    carried.carry(trained.run, trained.out)
    with pytest.raises(ValueError, match="came to its end: train on from its model with --init"):
        carried.carried_back(trained.out, tmp_path / "again")
