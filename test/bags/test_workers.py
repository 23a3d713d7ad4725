# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Workers: every job has one outcome, whatever becomes of the worker, and none is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import fleet_helpers as tasks
import psutil
import pytest
from fleet_helpers import run_all
from waiting_helpers import until

from dcfm_ros.bags import workers
from dcfm_ros.bags.workers import Processes, attempt, split_cores


def of(tmp_path, *moods):
    return [(mood, str(tmp_path / f"{i}")) for i, mood in enumerate(moods)]


@pytest.mark.slow
@pytest.mark.parametrize("engine", [Processes(1), Processes(2)], ids=["one", "two"])
def test_every_job_is_done_once(engine):
    outcomes, frames = run_all(engine, tasks.square, [3, 4, 5, 6, 7])
    assert [outcome.result for outcome in outcomes] == [9, 16, 25, 36, 49]
    assert frames == 25


def test_no_job_is_no_work():
    assert run_all(Processes(2), tasks.square, []) == ([], 0)


@pytest.mark.slow
def test_a_worker_that_dies_fails_its_job_alone(tmp_path):
    outcomes, _ = run_all(Processes(2), tasks.moody, of(tmp_path, "fine", "dies", "good", "dies", "well"))
    assert [outcome.result for outcome in outcomes] == ["fine", None, "good", None, "well"]
    for dead in (outcomes[1], outcomes[3]):
        assert "its worker died" in dead.failure and "SIGKILL" in dead.failure and dead.transient


def test_failures_are_told_apart(tmp_path):
    system, bad, mistake = (
        attempt(tasks.moody, job, None) for job in of(tmp_path, "fails", "bad", "mistake")
    )
    assert system.failure == "fails: the disk is gone" and system.transient and not system.trace
    assert bad.failure == "bad: record anew" and not bad.transient and not bad.trace
    assert mistake.failure == "KeyError: 'mistake'" and not mistake.transient and "in moody" in mistake.trace


def test_what_a_worker_cannot_load_is_a_failed_job(monkeypatch):
    monkeypatch.setattr(workers, "pack_job", lambda task, job: b"cno_such_module\nfunction\n.")
    (outcome,), _ = run_all(Processes(1), tasks.square, [1])
    assert "No module named 'no_such_module'" in outcome.failure


def test_workers_have_their_share_of_the_cores(tmp_path):
    outcomes, _ = run_all(Processes(2), tasks.cores, [(str(tmp_path), 2)] * 4)
    by_process = {}
    for outcome in outcomes:
        process, cores = outcome.result
        assert by_process.setdefault(process, cores) == cores
    assert len(by_process) == 2 and os.getpid() not in by_process
    expected = split_cores(sorted(os.sched_getaffinity(0)), 2)
    assert sorted(by_process.values()) == sorted(expected)


@pytest.mark.parametrize(
    "cores, count, expected",
    [
        ([0, 1, 2, 3], 1, [[0, 1, 2, 3]]),
        ([0, 1, 2, 3], 2, [[0, 1], [2, 3]]),
        ([4, 5, 8, 9, 11], 2, [[4, 5], [8, 9, 11]]),
        ([0, 1], 3, [[0], [1], [0]]),
    ],
)
def test_shares(cores, count, expected):
    assert split_cores(cores, count) == expected


# A program as the command is one: it is told to end by Ctrl-C, and what it has started has to end, too.
PROGRAM = """
import sys
from pathlib import Path
import fleet_helpers
from dcfm_ros.bags.workers import Processes, _Worker

def joined(self, timeout_s, join=_Worker.join):
    Path(sys.argv[1]).with_suffix(".joined").touch()   # from now on it waits for its workers' end
    join(self, timeout_s)

_Worker.join = joined
if __name__ == "__main__":
    try:
        Processes(2).run(fleet_helpers.{task}, sys.argv[1:], lambda *_: None, lambda _: None)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.fixture
def program(tmp_path):
    """Starts a program with two workers that wait; yields (process, its workers' files)."""
    started = []

    def start(task="wait_for_interruption"):
        script, files = tmp_path / "program.py", [tmp_path / "a.pid", tmp_path / "b.pid"]
        script.write_text(PROGRAM.format(task=task))
        path = os.pathsep.join([str(Path(tasks.__file__).parent), *filter(None, sys.path)])
        process = subprocess.Popen(
            [sys.executable, str(script), *map(str, files)],
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        until(lambda: all(file.exists() for file in files) or process.poll() is not None)
        assert process.poll() is None
        return process, files, psutil.Process(process.pid).children(recursive=True)

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


@pytest.mark.slow
@pytest.mark.parametrize("everyone", [False, True], ids=["kill", "terminal"])
def test_an_interruption_ends_all_workers_in_order(program, everyone):
    """A terminal sends the signal to all processes of the program."""
    process, files, children = program()
    assert len(children) >= 2
    (os.killpg if everyone else os.kill)(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors == ""
    assert [file.with_suffix(".ended").read_text() for file in files] == ["in order"] * 2
    assert not psutil.wait_procs(children, timeout=10)[1]


@pytest.mark.slow
def test_a_second_interruption_ends_workers_that_do_not_listen(program):
    process, files, children = program("ignore_interruption")
    os.kill(process.pid, signal.SIGINT)
    until(
        lambda: (
            files[0].with_suffix(".joined").exists()
            and all(file.with_suffix(".asked").exists() for file in files)
        )
    )
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert not psutil.wait_procs(children, timeout=10)[1]


@pytest.mark.slow
def test_workers_of_a_killed_program_end_by_themselves(program):
    process, _files, children = program("tell_of_frames")
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=30)[1]
