# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of processes: what they average, and that they train one model, stop together and fail together."""

import json
import sys

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from training_helpers import finish, record_of, run_members, same, started, state_of, weights

from dcfm_ros.training.checkpoint import BEST, LAST, plain_config
from dcfm_ros.training.group import average_gradients, average_statistics, largest, summed
from dcfm_ros.training.settings import ValidationConfig

TRAINING = """
import os, sys, torch
from dcfm_ros import cli
from dcfm_ros.training import loop
kept, make = [], loop.make_optimiser
loop.make_optimiser = lambda model, config: kept.append(model) or make(model, config)
code = cli.main(["train", *sys.argv[2:]])
torch.save(kept[0].state_dict(), f"{sys.argv[1]}/rank{os.environ['RANK']}.pt")
sys.exit(code)
"""


AVERAGES = """
import json, os, sys
import numpy as np, torch
from torch import nn
from dcfm_ros.training.group import average_gradients, average_statistics, joined, largest, summed
with joined("cpu") as group:
    rank, layer, unused, norm = group.rank, nn.Linear(2, 1), nn.Linear(1, 1), nn.BatchNorm2d(2)
    layer.weight.grad, layer.bias.grad = torch.tensor([[1.0, 10.0]]) * (rank + 1), torch.tensor([4.0 * rank])
    terms = average_gradients(nn.ModuleList([layer, unused]), torch.tensor([0.5, 1.0 + rank, -rank]))
    norm.running_mean[:], norm.running_var[:] = torch.tensor([rank, 3.0]), torch.tensor([1.0, 2.0 + rank])
    average_statistics(norm)
    found = {"world": group.world, "weight": layer.weight.grad.tolist(), "bias": layer.bias.grad.tolist(),
             "unused": unused.weight.grad, "terms": terms.tolist(), "mean": norm.running_mean.tolist(),
             "var": norm.running_var.tolist(), "largest": largest([rank, -rank, 7]),
             "summed": summed(np.array([[rank + 1, 5]])).tolist()}
with open(f"{sys.argv[1]}/rank{rank}.json", "w") as file:
    json.dump(found, file)
"""


def run_group(script, folder, *arguments):
    """A script in a group of two processes, without torchrun; (exit codes, output)."""
    (folder / "member.py").write_text(script)
    return run_members(folder / "member.py", [str(folder), *arguments], folder)


def run_by_torchrun(script, folder, *arguments):
    """The same by torchrun; (its exit code, output)."""
    (folder / "member.py").write_text(script)
    group = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = started([sys.executable, *group, str(folder / "member.py"), str(folder), *arguments], folder)
    try:
        output, _ = process.communicate(timeout=240)
        return process.returncode, output
    finally:
        finish(process)


def train_group(run_one, config, folder, *arguments):
    (folder / "train.yaml").write_text(yaml.safe_dump(plain_config(config)))
    options = ("--out", str(folder / "run"), "--workers", "1", *arguments)
    return run_one(TRAINING, folder, str(folder / "train.yaml"), *options)


@pytest.mark.slow
def test_two_processes_average(tmp_path):
    """Gradients, loss terms and batch-norm statistics become means; a gradient that is not there stays so."""
    codes, output = run_group(AVERAGES, tmp_path)
    assert codes == [0, 0], output
    for rank in range(2):
        assert json.loads((tmp_path / f"rank{rank}.json").read_text()) == {
            "world": 2,
            "weight": [[1.5, 15.0]],
            "bias": [2.0],
            "unused": None,
            "terms": [0.5, 1.5, -0.5],
            "mean": [0.5, 3.0],
            "var": [1.0, 2.5],
            "largest": [1, 0, 7],
            "summed": [[3, 10]],
        }


@pytest.mark.slow
def test_two_processes_train_one_model(train_config, held_out, tmp_path):
    config = train_config(iterations=2, validation=ValidationConfig("folder", root=str(held_out), every=2))
    code, output = train_group(run_by_torchrun, config, tmp_path)
    assert code == 0, output
    assert output.count("2 of 2 iterations are done") == 1
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert same(first, second)  # batch-norm statistics too: their mean is what is saved
    saved = weights(tmp_path / "run" / LAST)
    assert all(
        torch.equal(value, first[key])
        for key, value in saved.items()
        if not key.endswith("num_batches_tracked")
    )
    assert state_of(tmp_path / "run")["iteration"] == 2
    assert "2 processes" in record_of(tmp_path / "run" / BEST)["hardware"]


@pytest.mark.slow
def test_all_stop_together_and_where_one_fails(train_config, stills, tmp_path):
    config = train_config(iterations=2, class_balance=0)
    codes, output = train_group(run_group, config, tmp_path, "--minutes", "1e-9")
    assert codes == [0, 0] and "Stopped: time is up. 0 of 2 iterations are done." in output, output
    for path in (stills / "labels").iterdir():
        path.write_bytes(b"no picture")
    codes, output = train_group(run_group, config, tmp_path, "--resume")
    assert None not in codes and 0 not in codes and "cannot be read as a PNG" in output, output


def test_one_process_has_nothing_to_average():
    layer = nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    terms = torch.ones(3)
    assert average_gradients(layer, terms) is terms and (layer.weight.grad == 1).all()
    average_statistics(nn.BatchNorm2d(2))
    assert largest([3, -1]) == [3, -1] and summed(np.array([1, 2])).tolist() == [1, 2]
