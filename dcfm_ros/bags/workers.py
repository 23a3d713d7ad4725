# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the same task on many jobs, in processes that each get a share of the cores.

Nothing here imports a deep learning library: a worker is bound to its cores first, so that the library then
uses only those.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from dcfm_ros.interrupts import Interrupts, blocked_signal

# task(job, on_frames) -> result: a module-level function, so that workers can import it. It calls
# on_frames(n) when n more frames are done. A KeyboardInterrupt asks it to stop cleanly.
Task = Callable[[Any, Callable[[int], None]], Any]

_END_S = 60.0  # timeout for a task to stop cleanly; then its process is killed
_REPORT_S = 0.2  # interval between two reports of frames


@dataclass(frozen=True)
class Outcome:
    """The result or failure of one job."""

    result: Any = None
    failure: str = ""  # error text; "" if there is a result
    transient: bool = False  # a retry may succeed
    trace: str = ""  # traceback of an unexpected failure


class Engine(Protocol):
    """Runs jobs."""

    workers: int  # jobs at a time

    def run(
        self,
        task: Task,
        jobs: Sequence[Any],
        on_done: Callable[[int, Outcome], None],
        on_frames: Callable[[int], None],
    ) -> None:
        """Run the task on each job. on_done(index, outcome) is called in the order of completion, always in
        the caller's thread.

        A job that fails, or whose worker dies, has an outcome like the others. On an interrupt, the workers
        are stopped and KeyboardInterrupt is raised.
        """

    def close(self) -> None:
        """Stop what was started."""


def attempt(task: Task, job: Any, on_frames: Callable[[int], None]) -> Outcome:
    """Run the task once. Errors become a failure text; errors of the system are marked as transient."""
    try:
        with Interrupts():
            return Outcome(task(job, on_frames))
    except (OSError, MemoryError) as error:
        return Outcome(failure=str(error) or type(error).__name__, transient=True)
    except (ValueError, RuntimeError) as error:
        return Outcome(failure=str(error) or type(error).__name__)
    except Exception as error:  # a bug must not stop the other jobs
        return Outcome(failure=f"{type(error).__name__}: {error}", trace=traceback.format_exc())


def pack_job(task: Task, job: Any) -> bytes:
    """Serialize a job for a worker. The worker deserializes it after it was bound to its cores, where errors
    are caught."""
    return pickle.dumps((task, job))


def attempt_packed(work: bytes, on_frames: Callable[[int], None]) -> Outcome:
    """Same as `attempt`, for the bytes of `pack_job`; deserializing imports the task's libraries."""
    return attempt(_unpack_and_run, work, on_frames)


def _unpack_and_run(work: bytes, on_frames: Callable[[int], None]) -> Any:
    task, job = pickle.loads(work)  # of `pack_job`, by a pipe of our own or Ray  # nosec B301
    return task(job, on_frames)


class Processes:
    """Runs jobs in processes of this machine. If one dies, its job fails and a new process replaces it."""

    def __init__(self, workers: int):
        self.workers = workers

    def run(
        self,
        task: Task,
        jobs: Sequence[Any],
        on_done: Callable[[int, Outcome], None],
        on_frames: Callable[[int], None],
    ) -> None:
        cores = sorted(os.sched_getaffinity(0))
        workers = [_Worker(share) for share in split_cores(cores, min(self.workers, len(jobs) or 1))]
        waiting, idle = deque(enumerate(jobs)), list(workers)
        busy: dict[Connection, tuple[_Worker, int]] = {}  # with the job's index
        try:
            while waiting or busy:
                while waiting and idle:
                    index, job = waiting.popleft()
                    worker = idle.pop(0)
                    busy[worker.send_job(pack_job(task, job))] = worker, index
                ready: Any = wait(list(busy))
                for connection in ready:
                    worker, index = busy[connection]
                    word = worker.receive()
                    if isinstance(word, Outcome):
                        del busy[connection]
                        idle.append(worker)
                        on_done(index, word)
                    else:
                        on_frames(word)
        except BaseException:
            for worker in workers:
                worker.interrupt()
            raise
        finally:
            _end(workers)

    def close(self) -> None:
        pass


def split_cores(cores: Sequence[int], workers: int) -> list[list[int]]:
    """Return the cores of each worker: as many as possible for each; workers share cores if there are too
    few."""
    if workers > len(cores):
        return [[cores[worker % len(cores)]] for worker in range(workers)]
    bounds = [len(cores) * worker // workers for worker in range(workers + 1)]
    return [list(cores[first:last]) for first, last in zip(bounds, bounds[1:])]


class _Worker:
    """The parent's end of a worker process, which runs one job after the other. It is started with its first
    job."""

    def __init__(self, cores: list[int]):
        self._cores = cores
        self._process: SpawnProcess | None = None
        self._connection: Any = None  # a Connection, once the process was started

    def send_job(self, work: bytes) -> Connection:
        """Send it a job; return the connection on which its messages arrive."""
        if self._process is None:
            self._start()
        try:
            self._connection.send_bytes(work)
        except OSError:
            pass  # it has died: `receive` reports it
        return self._connection

    def receive(self) -> int | Outcome:
        """Return its next message: a number of finished frames, or the outcome of its job."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            self._connection.close()
            process, self._process = self._process, None
            assert process is not None
            process.join()
            code = process.exitcode
            return Outcome(failure=f"its worker died: {_exit_reason(code)}", transient=True)

    def interrupt(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()  # raises KeyboardInterrupt in the worker

    def join(self, timeout_s: float) -> None:
        if self._process is not None:
            self._connection.close()  # makes an idle worker end
            self._process.join(timeout_s)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _start(self) -> None:
        # Not forked: a process that ran a network has threads and locks that are unusable in a child.
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._cores), name="dcfm-worker")
        with blocked_signal(signal.SIGINT):
            process.start()
        self._process = process  # only if the start succeeded
        theirs.close()


def _end(workers: Sequence[_Worker]) -> None:
    """Wait for the workers to end. Kill those that take too long, and all if this is interrupted."""
    deadline = time.monotonic() + _END_S
    try:
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in workers:
            worker.kill()


def _serve(connection: Connection, cores: list[int]) -> None:
    """Main loop of a worker process."""
    # Ctrl-C in a terminal reaches all processes; the parent forwards it once, as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    signal.signal(signal.SIGTERM, _interrupt)
    os.sched_setaffinity(0, cores)
    try:
        while True:
            work, frames = connection.recv_bytes(), _Frames(connection)
            outcome = attempt_packed(work, frames.add)
            frames.send()
            connection.send(outcome)
    except (EOFError, OSError, KeyboardInterrupt):
        return  # the parent closed the connection, died, or asked for the end


def _interrupt(*_) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


class _Frames:
    """Counts frames and reports them at intervals."""

    def __init__(self, connection: Connection):
        self._connection, self._count, self._told_s = connection, 0, time.monotonic()

    def add(self, frames: int) -> None:
        self._count += frames
        if time.monotonic() - self._told_s >= _REPORT_S:
            self.send()

    def send(self) -> None:
        self._connection.send(self._count)
        self._count, self._told_s = 0, time.monotonic()


def _exit_reason(code: int | None) -> str:
    """Return how a process ended, in words."""
    if code == -signal.SIGKILL:
        return "it was killed (SIGKILL), perhaps because memory ran out: use fewer --workers, which need less"
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
