# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: the one before survives whatever interrupts a save; a training goes on with its own
configuration alone."""

import json
import os
import resource
from dataclasses import replace

import pytest
import torch
from helpers import tiny_config, tiny_model

from dcfm_ros import files
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import load_model
from dcfm_ros.training import checkpoint
from dcfm_ros.training.checkpoint import (
    STATE_FILE,
    TrainingError,
    load_state,
    plain_config,
    save_folder,
    save_state,
)
from dcfm_ros.training.settings import DataConfig, SourceConfig, ValidationConfig


def state_of(config, iteration=2, **more):
    return {"configuration": json.dumps(plain_config(config)), "iteration": iteration, **more}


def error_on_a_full_disk(save, *arguments):
    """The error of a save where files may not grow beyond 1 MB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(TrainingError) as error:
            save(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return str(error.value)


@pytest.mark.slow
def test_a_full_disk_spares_the_state(train_config, tmp_path):
    save_state(tmp_path, state_of(train_config(), weights=torch.ones(3)))
    message = error_on_a_full_disk(save_state, tmp_path, {"model": tiny_model(seed=1).state_dict()})
    assert message.startswith(f"{tmp_path / STATE_FILE} could not be saved (")
    assert message.endswith("; the previous checkpoint is intact. Free space and continue with --resume")
    assert torch.equal(load_state(tmp_path, train_config(), resume=True)["weights"], torch.ones(3))
    assert not list(tmp_path.glob("*.part"))  # takes no room


@pytest.mark.slow
def test_a_full_disk_spares_the_model(tmp_path):
    folder, model = tmp_path / "last", tiny_model()
    save_folder(folder, model, {})
    assert "last could not be saved (" in error_on_a_full_disk(save_folder, folder, tiny_model(seed=1), {})
    kept = load_model(folder).state_dict()
    assert all(
        torch.equal(value, kept[key])
        for key, value in model.state_dict().items()
        if not key.endswith("tracked")
    )
    assert {path.name for path in folder.iterdir()} == {"model.yaml", "weights.safetensors"}


@pytest.mark.parametrize("fails", ("save", "replace"))
def test_a_failing_save_spares_the_state(train_config, tmp_path, monkeypatch, fails):
    save_state(tmp_path, state_of(train_config()))

    def failing(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((checkpoint.torch, "save") if fails == "save" else (files.os, "replace")), failing)
    with pytest.raises(
        TrainingError, match=r"state.pt could not be saved \(\[Errno 28\] No space left on device\)"
    ):
        save_state(tmp_path, state_of(train_config(), 3))
    monkeypatch.undo()
    assert load_state(tmp_path, train_config(), resume=True)["iteration"] == 2
    assert not list(tmp_path.glob("*.part"))


def test_an_interrupted_save_is_of_no_account(train_config, tmp_path):
    """Killed while it wrote: what is left is overwritten."""
    save_state(tmp_path, state_of(train_config()))
    (tmp_path / f"{STATE_FILE}.part").write_bytes(b"half a")
    assert load_state(tmp_path, train_config(), resume=True)["iteration"] == 2
    save_state(tmp_path, state_of(train_config(), 4))
    assert load_state(tmp_path, train_config(), resume=True)["iteration"] == 4 and not list(
        tmp_path.glob("*.part")
    )


def test_a_training_is_not_overwritten(train_config, tmp_path):
    assert (
        load_state(tmp_path, train_config(), resume=False)
        is load_state(tmp_path, train_config(), resume=True)
        is None
    )
    save_state(tmp_path, state_of(train_config()))
    with pytest.raises(
        TrainingError, match="already contains a training: give --resume to continue it, or another --out"
    ):
        load_state(tmp_path, train_config(), resume=False)


@pytest.mark.parametrize("name", ("last/model.yaml", "best/model.yaml", "log.jsonl"))
def test_what_is_there_without_a_state_is_not_overwritten(train_config, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("something")
    shown = "log.jsonl" if name == "log.jsonl" else name[:5]
    message = f"contains {shown} without state.pt to resume from: give another --out, or move them away"
    with pytest.raises(TrainingError, match=message):
        load_state(tmp_path, train_config(), resume=False)
    if shown == "last/":  # is never there without a state, unless somebody removed that
        with pytest.raises(TrainingError, match=message):
            load_state(tmp_path, train_config(), resume=True)
    else:  # ended before its first checkpoint
        assert load_state(tmp_path, train_config(), resume=True) is None


def test_a_training_that_failed_at_once_may_start_again(train_config, tmp_path):
    (tmp_path / "log.jsonl").touch()
    assert load_state(tmp_path, train_config(), resume=False) is None


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(
    "content",
    (
        b"",
        b"bad\n",
        b"no checkpoint",
        "half",
        {"iteration": 3},
        {"configuration": "{", "iteration": 3},
        Malicious(),
    ),
)
def test_a_damaged_state_is_named(train_config, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    save_state(tmp_path, state_of(train_config(), weights=torch.ones(3)))
    path = tmp_path / STATE_FILE
    if content == "half":
        content = path.read_bytes()[:500]
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    message = (
        r"state.pt is not a readable checkpoint \(\w+\): start in another --out, perhaps with --init .*last"
    )
    with pytest.raises(TrainingError, match=message):
        load_state(tmp_path, train_config(), resume=True)
    assert not (tmp_path / "pwned").exists()


def changed(config, **phase):
    return replace(config, phases=(*config.phases[:-1], replace(config.phases[-1], **phase)))


@pytest.mark.parametrize(
    "change, messages",
    [
        (lambda c: replace(c, seed=1), ["seed was 0 and is 1"]),
        (
            lambda c: replace(c, consistency=False, amp=True),
            ["consistency was true and is false", "amp was false and is true"],
        ),
        (
            lambda c: replace(c, model=tiny_config(3), data=replace(c.data, movable=())),
            ["model.classes was [{", "data.movable was"],
        ),
        (lambda c: replace(c, model=tiny_config(dropout=0.2)), ["model.dropout was 0.1 and is 0.2"]),
        (lambda c: replace(c, data=replace(c.data, radius=1)), ["data.radius was 8 and is 1"]),
        (
            lambda c: replace(c, data=replace(c.data, sources=(replace(c.data.sources[0], exclude="a"),))),
            ['data.sources.0.exclude was "" and is "a"'],
        ),
        (
            lambda c: replace(c, validation=ValidationConfig("folder")),
            ['validation was null and is {"source": "folder"'],
        ),
        (lambda c: changed(c, lr_end=0.5), ["phases.0.lr_end was 0.001 and is 0.5"]),
        (lambda c: changed(c, iterations=3), ["phases.0.iterations was 4 and is 3"]),
        (
            lambda c: replace(c, phases=(replace(c.phases[0], iterations=9), c.phases[0])),
            ["phases.0.iterations was 4 and is 9"],
        ),
    ],
)
def test_another_configuration_is_named(train_config, tmp_path, change, messages):
    config = train_config()
    save_state(tmp_path, state_of(config))
    if len(change(config).phases) == 2:
        save_state(tmp_path, state_of(replace(config, phases=config.phases * 2)))
    with pytest.raises(ConfigError) as error:
        load_state(tmp_path, change(config), resume=True)
    messages = ["state.pt was made with another configuration: ", "start in another --out", *messages]
    assert all(message in str(error.value) for message in messages), error.value


def test_fewer_phases_are_named(train_config, tmp_path):
    config = train_config()
    save_state(tmp_path, state_of(replace(config, phases=config.phases * 2)))
    with pytest.raises(ConfigError, match="phases: 2 before, 1 now"):
        load_state(tmp_path, config, resume=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: changed(c, iterations=9),
        lambda c: replace(c, phases=c.phases * 2),
        lambda c: replace(c, save_every=7, init="elsewhere"),
        lambda c: replace(c, data=replace(c.data, sources=(replace(c.data.sources[0], root="moved"),))),
        lambda c: replace(c, validation=replace(c.validation, root="moved")),
    ],
)
def test_longer_trainings_and_other_paths_go_on(train_config, tmp_path, change):
    config = train_config(validation=ValidationConfig("folder"))
    save_state(tmp_path, state_of(config))
    assert load_state(tmp_path, change(config), resume=True)["iteration"] == 2


def test_numbers_of_sources_are_compared(train_config, tmp_path):
    config = train_config(data=DataConfig(sources=(SourceConfig("folder"), SourceConfig("camvid"))))
    save_state(tmp_path, state_of(config))
    with pytest.raises(ConfigError, match="data.sources was "):
        load_state(tmp_path, replace(config, data=DataConfig(sources=(SourceConfig("folder"),))), resume=True)


def test_a_checkpoint_of_before_a_setting_existed_goes_on_without_it(train_config, tmp_path):
    config = train_config()
    plain = plain_config(config)
    del plain["data"]["aligned"]
    save_state(tmp_path, {**state_of(config), "configuration": json.dumps(plain)})
    assert load_state(tmp_path, config, resume=True)["iteration"] == 2
    with pytest.raises(ConfigError, match="data.aligned was 0.0 and is 0.5"):
        load_state(tmp_path, replace(config, data=replace(config.data, aligned=0.5)), resume=True)
