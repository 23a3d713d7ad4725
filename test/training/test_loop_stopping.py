# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training that is stopped: by a signal, by the end of its time, by Ctrl-C in a terminal."""

import os
import re
import signal
import sys
import time

import pytest
import yaml
from training_helpers import finish, run, same, started, state_of, weights

from dcfm_ros.training import loop
from dcfm_ros.training.checkpoint import LAST, STATE_FILE, plain_config


@pytest.mark.slow
def test_a_signal_saves_and_stops(train_config, tmp_path, monkeypatch):
    config = train_config(iterations=4, save_every=100)
    whole = weights(run(config, tmp_path / "whole").folder)
    step = loop.step

    def signalled(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments)

    monkeypatch.setattr(loop, "step", signalled)
    outcome = run(config, tmp_path / "run")
    assert outcome.code == 128 + signal.SIGTERM
    assert outcome.note == (
        "Stopped: signal 15. 1 of 4 iterations are done. The model is in "
        f"{tmp_path / 'run' / LAST}. Continue with the same command and --resume."
    )
    assert state_of(tmp_path / "run")["iteration"] == 1
    monkeypatch.setattr(loop, "step", step)
    assert same(weights(run(config, tmp_path / "run", resume=True).folder), whole)


@pytest.mark.slow
def test_time(train_config, tmp_path):
    config = train_config(iterations=4, save_every=100)
    outcome = run(config, tmp_path / "run", minutes=1e-9)  # too short for any
    assert outcome.code == 0 and outcome.note.startswith("Stopped: time is up. 0 of 4 iterations are done. ")
    assert run(config, tmp_path / "run", minutes=10, resume=True).note.startswith(
        "4 of 4 iterations are done. "
    )


@pytest.mark.slow
def test_ctrl_c_spares_the_workers(train_config, tmp_path):
    """A terminal's Ctrl-C goes to all processes at once: the workers leave it to the training process."""
    config = train_config(iterations=2000, save_every=1)
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(plain_config(config)))
    command = [
        sys.executable,
        "-m",
        "dcfm_ros",
        "train",
        str(tmp_path / "train.yaml"),
        "--out",
        str(tmp_path / "run"),
        "--workers",
        "2",
        "--device",
        "cpu",
    ]
    process = started(command, tmp_path)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / STATE_FILE).is_file():  # the first iterations are done
            assert process.poll() is None and time.monotonic() < deadline, (
                "training does not come to its first checkpoint"
            )
            time.sleep(0.05)  # between two looks into a file; nothing depends on its length
        os.killpg(process.pid, signal.SIGINT)
        output = process.stdout.read()
        assert process.wait(60) == 130, output
    finally:
        finish(process)
    assert "Traceback" not in output
    done = re.search(r"Stopped: signal 2\. (\d+) of 2000 iterations are done\.", output)
    assert done and state_of(tmp_path / "run")["iteration"] == int(done[1]) > 0, output
