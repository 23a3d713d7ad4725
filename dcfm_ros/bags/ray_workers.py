# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs jobs as tasks of a Ray cluster, on all its machines. Ray is optional.

Every machine needs the same version of this package as the machine that starts the jobs, and the same paths:
a shared file system.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from dcfm_ros.bags.workers import Outcome, Task, attempt_packed, pack_job
from dcfm_ros.environment import temporary_folder

# instead of an address: a cluster that lives as long as the engine; the one that runs on this machine
LOCAL, AUTO = ("local", "auto")
_CONNECT_S = 10.0  # timeout for a connection
_END_S = 60.0  # timeout for tasks to end by themselves


class RayCluster:
    """Connects to the cluster at `address`, or starts one here.

    workers: tasks at a time; by default one per machine. The cluster's cores and GPUs are shared evenly.
        Progress is reported per finished job only.
    """

    def __init__(self, address: str, workers: int | None = None):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage statistics
        try:
            import ray
        except ModuleNotFoundError as error:
            raise RuntimeError("--ray needs Ray: pip install ray") from error
        self._ray = ray
        if ray.is_initialized():
            raise RuntimeError("this process is already connected to a Ray cluster: disconnect first")
        cores = len(os.sched_getaffinity(0)) if address == LOCAL else None  # None: as the cluster says
        try:
            _check_reachable(address)
            with _inherited_paths(address == LOCAL):
                ray.init(
                    address=address,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    num_cpus=cores,
                )
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise RuntimeError(
                f"no Ray cluster at {address!r} ({_first_line(error)}): give the address that `ray start "
                f"--head` printed, {AUTO}, or {LOCAL}; set RAY_AUTH_MODE=token for a cluster that requires a "
                "token"
            ) from error
        machines = [
            node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")
        ]
        if not machines:
            self.close()
            raise RuntimeError(f"no machine of the Ray cluster at {address!r} has a free core")
        self.workers = workers or len(machines)
        cpus, gpus = [machine["CPU"] for machine in machines], [machine.get("GPU", 0) for machine in machines]
        self._share = task_resources(cpus, gpus, self.workers)

    def run(
        self,
        task: Task,
        jobs: Sequence[Any],
        on_done: Callable[[int, Outcome], None],
        on_frames: Callable[[int], None],
    ) -> None:
        ray = self._ray
        cores, gpus = self._share
        # A new process for each task, so that its core binding and memory end with it. Retries are up to the
        # caller.
        remote = ray.remote(num_cpus=cores, num_gpus=gpus, max_calls=1, max_retries=0)(_serve)
        waiting = deque(enumerate(jobs))
        running: dict[Any, Any] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    index, job = waiting.popleft()
                    running[remote.remote(pack_job(task, job), cores)] = index
                for done in ray.wait(list(running))[0]:
                    on_done(running.pop(done), self._outcome(done))
        except BaseException:
            self._cancel(list(running))
            raise

    def close(self) -> None:
        self._ray.shutdown()

    def _outcome(self, reference) -> Outcome:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:  # failed before or after the task itself
            return Outcome(
                failure=f"Ray: {_last_line(error)}; is this version of dcfm_ros installed on every machine?",
                transient=True,
            )
        except self._ray.exceptions.RayError as error:
            return Outcome(failure=f"Ray: {_first_line(error)}", transient=True)

    def _cancel(self, references: list) -> None:
        """Cancel tasks: as Ctrl-C would, then by force those that take too long, or all if this is
        interrupted."""
        ray = self._ray
        try:
            for reference in references:
                ray.cancel(reference)
            if references:
                references = ray.wait(references, num_returns=len(references), timeout=_END_S)[1]
        finally:
            for reference in references:
                ray.cancel(reference, force=True)


def task_resources(cpus: Sequence[float], gpus: Sequence[float], workers: int) -> tuple[int, float]:
    """Return the cores and GPUs of each task: as many as possible while all workers fit into the machines at
    once.

    cpus, gpus: of each machine. A task without a share of a GPU would not see any, so every task gets one if
        there are GPUs.
    """
    fitting = (
        count for count in range(1, int(max(cpus)) + 1) if sum(int(cpu // count) for cpu in cpus) >= workers
    )
    cores = max(fitting, default=1)
    if not (total := sum(gpus)):
        return cores, 0.0
    return cores, max(1, int(100 / math.ceil(workers / total))) / 100


def _serve(work: bytes, cores: int) -> Outcome:
    """Run a task on its machine."""
    with bound_to_free_cores(cores):
        outcome = attempt_packed(work, lambda frames: None)
    if outcome.failure:
        outcome = replace(outcome, failure=f"{outcome.failure} (on {socket.gethostname()})")
    return outcome


@contextmanager
def bound_to_free_cores(count: int, folder: Path | None = None) -> Iterator[list[int]]:
    """Bind this thread, and threads that it starts, to `count` cores of this machine that no other task is
    bound to.

    Ray counts cores but does not assign them. A core is reserved by locking its file in `folder`; the lock
    ends with the process at the latest. If too few cores are free, other work counts on them too, and nothing
    is bound; nor is it where there is no private folder for the files.
    """
    before = os.sched_getaffinity(0)
    folder = folder or temporary_folder()
    if folder is None:
        yield sorted(before)
        return
    folder = folder / "cores"
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as locks:
        taken: list[int] = []
        for core in sorted(before):
            if len(taken) == count:
                break
            file = locks.enter_context(open(folder / str(core), "a"))
            if _lock(file):
                taken.append(core)
        if len(taken) < count:
            yield sorted(before)
            return
        os.sched_setaffinity(0, taken)
        try:
            yield taken
        finally:
            os.sched_setaffinity(0, before)


def _lock(file: IO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_reachable(address: str) -> None:
    """Raise an error at once if nothing listens at the address: Ray itself retries for minutes."""
    if address in (LOCAL, AUTO):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise ValueError("it is not HOST:PORT")
    socket.create_connection((host, int(port)), _CONNECT_S).close()


@contextmanager
def _inherited_paths(wanted: bool) -> Iterator[None]:
    """Let processes that are started in the block import from the same module paths as this one."""
    before = os.environ.get("PYTHONPATH")
    if wanted:
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        yield
    finally:
        if before is not None:
            os.environ["PYTHONPATH"] = before
        elif wanted:
            del os.environ["PYTHONPATH"]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def _last_line(error: Exception) -> str:
    return next(reversed(str(error).strip().splitlines()), type(error).__name__)
