# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings of the tests: run here or as processes of their own, and what they leave behind."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import torch
import yaml
from forked_helpers import become
from torch.distributed import TCPStore

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


def run_members(script, arguments, folder, timeout_s=240):
    """A script in a group of two processes, as torchrun starts them; (exit codes, output).

    They are forks of one process that has imported the package, which takes seconds: torchrun's own and its
    two take three times as many. None is ended because another fails.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dcfm_ros.training.loop", "torch._dynamo"])  # that by optimisers
    environment = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    store, log = TCPStore("localhost", 0, is_master=True, wait_for_workers=False), folder / "output.txt"
    log.write_text("")
    members = [
        context.Process(target=_be_member, args=(rank, store.port, environment, script, arguments, log))
        for rank in range(2)
    ]
    try:
        for member in members:
            member.start()
        for member in members:
            member.join(timeout_s)
        return [member.exitcode for member in members], log.read_text()
    finally:
        for member in members:
            member.kill()
            member.join()


def _be_member(rank, port, environment, script, arguments, log):
    """In the fork: become a member of the group, whose meeting place is the test's."""
    group = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": 2,
        "LOCAL_WORLD_SIZE": 2,
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": port,
        "TORCHELASTIC_USE_AGENT_STORE": True,
        "TORCHELASTIC_RESTART_COUNT": 0,
    }
    variables = {**os.environ, **environment, **{name: str(value) for name, value in group.items()}}
    become([str(script), *arguments], log, variables)
    runpy.run_path(str(script), run_name="__main__")
