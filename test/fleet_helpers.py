# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For tests of workers: tasks, as functions of a module, which workers in other processes find by their
names."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest
from waiting_helpers import until

from dcfm_ros.bags import workers
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.workers import attempt

_LIBRARIES = ["dcfm_ros.bags.fleet", "dcfm_ros.pipeline.backends.torch_cpu", "dcfm_ros.model.folder"]


class Here:
    """An engine that does one job after the other in the test's own process, where a task can be replaced."""

    workers = 1

    def run(self, task, jobs, on_done, on_frames):
        for index, job in enumerate(jobs):
            on_done(index, attempt(task, job, on_frames))

    def close(self):
        pass


@pytest.fixture
def forked_workers(monkeypatch):
    """Workers are forks of one process that has imported PyTorch, which takes each spawned one seconds.

    What differs from spawned ones is how they start, and that PyTorch was there before they were bound to
    their cores: its number of threads is 1 here.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LIBRARIES)
    forkserver.ensure_running()  # now, for workers are started while SIGINT is blocked
    monkeypatch.setattr(workers, "get_context", lambda method: context)


def run_all(engine, task, jobs):
    """Outcomes in the order of the jobs, and how many frames were told of."""
    outcomes, frames = {}, []

    def done(index, outcome):
        assert index not in outcomes
        outcomes[index] = outcome

    engine.run(task, jobs, done, frames.append)
    return [outcomes[index] for index in range(len(jobs))], sum(frames)


def square(job: int, on_frames) -> int:
    on_frames(job)
    return job * job


def moody(job: tuple[str, str], on_frames) -> str:
    """job: (what to do, a file that tells whether it was tried before)"""
    what, file = job
    tried = Path(file)
    first = not tried.exists()
    tried.open("a").write("x")
    if what == "dies" or (what == "dies once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fails" or (what == "fails once" and first):
        raise OSError(f"{what}: the disk is gone")
    if what == "bad":
        raise BagError("bad: record anew")
    if what == "mistake":
        raise KeyError("mistake")
    return what


def kill_for(bag: str, what: str, file: str, options, on_frames):
    """Evaluate a recording; at `bag` do `what` as `moody` does."""
    from dcfm_ros.bags.evaluate import evaluate_bag  # other workers need no library of networks

    if options.bag == bag:
        moody((what, file), on_frames)
    return evaluate_bag(options)


def cores(job: tuple[str, int], on_frames) -> tuple[int, list[int]]:
    """job: (folder, count); ends when so many tasks have begun, which it tells by a file, so that as many run
    at once."""
    folder, count = Path(job[0]), job[1]
    bound = sorted(os.sched_getaffinity(0))
    (folder / f"{os.getpid()}_{time.monotonic_ns()}").touch()
    until(lambda: len(list(folder.iterdir())) >= count)
    return os.getpid(), bound


def wait_for_interruption(job: str, on_frames) -> None:
    """Write the process's id to the file `job`, wait, and leave a note when asked to end."""
    pid = Path(job)
    pid.with_suffix(".tmp").write_text(str(os.getpid()))
    try:
        pid.with_suffix(".tmp").rename(pid)  # who sees it may interrupt at once
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        pid.with_suffix(".ended").write_text("in order")
        raise


def ignore_interruption(job: str, on_frames) -> None:
    """As `wait_for_interruption`, but goes on."""
    try:
        wait_for_interruption(job, on_frames)
    except KeyboardInterrupt:
        Path(job).with_suffix(".asked").write_text("")
        while True:
            time.sleep(0.01)


def tell_of_frames(job: str, on_frames) -> None:
    Path(job).write_text("")
    while True:
        time.sleep(0.01)
        on_frames(1)
