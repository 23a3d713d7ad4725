"""The training loop: it learns, resumes to the same course, keeps its last good checkpoint, and runs in a group."""

import json
import os
import shutil
import signal
import subprocess
from dataclasses import asdict

import pytest
import torch
import yaml
from torch import nn

from dcfm_ros.model.folder import load_model
from dcfm_ros.training import loop
from dcfm_ros.training.loop import LOG_FILE, MODEL_FOLDER, STATE_FILE, TrainingError, make_optimiser, new_model, train


class Interrupted(Exception):
    pass


def weights(folder):
    return load_model(folder).state_dict()


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def log_of(out):
    return [json.loads(line) for line in (out / LOG_FILE).read_text().splitlines()]


def test_a_resumed_run_ends_as_an_uninterrupted_one(train_config, tmp_path, monkeypatch):
    config = train_config(iterations=4, save_every=2)
    whole = weights(train(config, tmp_path / "whole"))
    step, seen = loop.step, []

    def interrupted(*arguments):
        if arguments[4] == 3 and len(seen) == 3:
            raise Interrupted
        seen.append(arguments[4])
        return step(*arguments)

    monkeypatch.setattr(loop, "step", interrupted)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "halves")
    half = weights(tmp_path / "halves" / MODEL_FOLDER)
    assert not same(half, whole)
    assert same(weights(train(config, tmp_path / "halves", resume=True)), whole)
    assert seen == [0, 1, 2, 2, 3]
    # There is nothing left to do, and nothing changes.
    assert same(weights(train(config, tmp_path / "halves", resume=True)), whole) and len(seen) == 5


def test_resuming_without_a_checkpoint_starts_at_the_beginning(train_config, tmp_path):
    folder = train(train_config(iterations=1), tmp_path / "new", resume=True)
    assert folder == tmp_path / "new" / MODEL_FOLDER and load_model(folder)


def test_a_loss_that_is_not_finite_stops_training_and_spares_the_checkpoint(train_config, tmp_path, monkeypatch):
    losses, calls = loop.symmetric_losses, []

    def poisoned(*arguments):
        calls.append(1)
        found = losses(*arguments)
        return found._replace(ce_key=found.ce_key * float("nan")) if len(calls) == 4 else found

    good = weights(train(train_config(iterations=2, save_every=2), tmp_path / "good"))
    monkeypatch.setattr(loop, "symmetric_losses", poisoned)
    with pytest.raises(TrainingError, match="the loss is nan in iteration 3: the last checkpoint stands; lower the rate"):
        train(train_config(iterations=6, save_every=2), tmp_path / "bad")
    assert same(weights(tmp_path / "bad" / MODEL_FOLDER), good)
    state = torch.load(tmp_path / "bad" / STATE_FILE, weights_only=True)
    assert state["iteration"] == 2


def test_log_lines(train_config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop._Log, "EVERY", 2)
    config, out = train_config(iterations=4, save_every=4), tmp_path / "run"
    folder = train(config, out)
    lines = log_of(out)
    assert [line["iteration"] for line in lines] == [2, 4]
    for line in lines:
        assert set(line) == {"iteration", "ce_key", "ce_nonkey", "consistency", "learning_rate", "images_per_s"}
        assert line["ce_key"] > 0 and line["consistency"] >= 0 and line["images_per_s"] > 0
        assert line["learning_rate"] == config.learning_rate(line["iteration"] - 1)
    record = yaml.safe_load((folder / "model.yaml").read_text())["training"]
    assert record["iterations_done"] == 4
    assert record["losses"] == {key: lines[-1][key] for key in ("ce_key", "ce_nonkey", "consistency")}
    assert record["configuration"]["data"]["stills"] == "stills"   # no path of this machine
    train(train_config(iterations=2), out)
    assert [line["iteration"] for line in log_of(out)] == [2]      # a new run starts a new log


def test_it_learns(train_config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop._Log, "EVERY", 6)
    config = train_config(iterations=30, warmup=5, save_every=30)
    folder, lines = train(config, tmp_path), log_of(tmp_path)
    for term in ("ce_key", "ce_nonkey"):
        assert lines[-1][term] < 0.5 * lines[0][term], lines
    model = load_model(folder)
    pairs = loop.PairBatches(config).batch(0)
    image, _, label, _ = loop._tensors(pairs, "cpu")
    with torch.inference_mode():
        right = (model(image).argmax(1) == label)[label != 255]
    assert right.float().mean() > 0.5   # batch-norm statistics lag behind after so few iterations


def test_bfloat16(train_config, tmp_path):
    values = weights(train(train_config(iterations=1, amp=True), tmp_path)).values()
    assert all(value.isfinite().all() for value in values)


def test_new_models_are_the_same_for_the_same_seed(train_config):
    one, other, third = (new_model(train_config(seed=seed)).state_dict() for seed in (0, 0, 1))
    assert same(one, other) and not same(one, third)
    assert one["head.classifier.weight"].std() == pytest.approx(0.5, rel=0.1)


def test_rates_and_decay_by_group(train_config):
    config = train_config(decoder_lr=3.0, weight_decay=0.02)
    model = new_model(config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    norms = {id(p) for m in model.modules() if isinstance(m, (nn.LayerNorm, nn.BatchNorm2d)) for p in m.parameters()}
    groups, seen = make_optimiser(model, config).param_groups, []
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.append(name)
            assert group["factor"] == (3.0 if name.startswith(("ffm.", "head.")) else 1.0), name
            assert group["weight_decay"] == (0.0 if id(parameter) in norms or name.endswith("bias") else 0.02), name
    assert sorted(seen) == sorted(names.values())


GROUP_MEMBER = """
import os, sys, torch
from dcfm_ros import cli
from dcfm_ros.training import loop
kept, make = [], loop.make_optimiser
loop.make_optimiser = lambda model, config: kept.append(model) or make(model, config)
code = cli.main(["train", *sys.argv[2:]])
torch.save(kept[0].state_dict(), f"{sys.argv[1]}/rank{os.environ['RANK']}.pt")
sys.exit(code)
"""


@pytest.mark.skipif(shutil.which("torchrun") is None, reason="torchrun is not installed")
def test_two_processes_train_one_model(train_config, tmp_path):
    config = train_config(iterations=2)
    plain = json.loads(json.dumps({**asdict(config), "model": config.model.to_dict()}))
    plain["data"]["stills"] = ""
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(plain))
    (tmp_path / "member.py").write_text(GROUP_MEMBER)
    command = ["torchrun", "--standalone", "--nproc-per-node", "2", str(tmp_path / "member.py"), str(tmp_path),
               str(tmp_path / "train.yaml"), "--stills", config.data.stills, "--out", str(tmp_path / "run")]
    group = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, cwd=tmp_path,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = group.communicate(timeout=240)
    finally:
        if group.poll() is None:
            os.killpg(group.pid, signal.SIGKILL)
            group.wait()
    assert group.returncode == 0, output
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert same(first, second)   # batch-norm statistics too: their mean is what is saved
    saved = weights(tmp_path / "run" / MODEL_FOLDER)
    assert all(torch.equal(value, first[key]) for key, value in saved.items() if not key.endswith("num_batches_tracked"))
    assert torch.load(tmp_path / "run" / STATE_FILE, weights_only=True)["iteration"] == 2
