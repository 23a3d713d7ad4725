# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings of the tests: run here or as processes of their own, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
import yaml

from dcfm_ros.model.folder import load_model
from dcfm_ros.training.checkpoint import STATE_FILE
from dcfm_ros.training.log import LOG_FILE
from dcfm_ros.training.loop import train


def run(config, out, **options):
    return train(config, out, device="cpu", workers=options.pop("workers", 0), **options)


def weights(folder):
    return load_model(folder).state_dict()


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def log_of(out):
    """Lines of the log, but for speeds."""
    lines = [json.loads(line) for line in (out / LOG_FILE).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_s"} for line in lines]


def state_of(out):
    return torch.load(out / STATE_FILE, weights_only=True)


def record_of(folder):
    return yaml.safe_load((folder / "model.yaml").read_text())["training"]


def started(command, folder):
    root = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join([path for path in sys.path if path] + [root]),
    }
    return subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()
