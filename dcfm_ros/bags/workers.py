# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same task on many jobs, in processes that have a share of the cores each.

Nothing here loads a library of networks: a worker is bound to its cores before that, and the library then
takes no more.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from dcfm_ros.interrupts import Interrupts

# task(job, on_frames) -> result: a function of a module, by whose name workers find it. It calls on_frames(n)
# when n more frames are done. A KeyboardInterrupt asks it to end in order.
Task = Callable[[Any, Callable[[int], None]], Any]

_END_S = 60.0  # for a task to end in order; then its process is killed
_REPORT_S = 0.2  # between two words about frames


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    result: Any = None
    failure: str = ""  # in words; "" where there is a result
    transient: bool = False  # it may go well the next time
    trace: str = ""  # of a failure that nobody expects


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
        """Run the task on each job; on_done(index, outcome) in the order in which they end, all in the
        caller's thread.

        A job that fails, or whose worker dies, has an outcome like others. Interrupted, it ends its workers
        and raises KeyboardInterrupt.
        """

    def close(self) -> None:
        """End what was started."""


def attempt(task: Task, job: Any, on_frames: Callable[[int], None]) -> Outcome:
    """One run of the task. Errors become words; what the system refuses may go well the next time."""
    try:
        with Interrupts():
            return Outcome(task(job, on_frames))
    except (OSError, MemoryError) as error:
        return Outcome(failure=str(error) or type(error).__name__, transient=True)
    except (ValueError, RuntimeError) as error:
        return Outcome(failure=str(error) or type(error).__name__)
    except Exception as error:  # a mistake of ours must not end the others' work
        return Outcome(failure=f"{type(error).__name__}: {error}", trace=traceback.format_exc())


def packed(task: Task, job: Any) -> bytes:
    """For a worker, which unpacks it where errors are caught, and after it was bound to its cores."""
    return pickle.dumps((task, job))


def attempt_packed(work: bytes, on_frames: Callable[[int], None]) -> Outcome:
    """`attempt` of what `packed` gave; unpacking loads the task's libraries."""
    return attempt(_unpack_and_run, work, on_frames)


def _unpack_and_run(work: bytes, on_frames: Callable[[int], None]) -> Any:
    task, job = pickle.loads(work)
    return task(job, on_frames)


class Processes:
    """Jobs in processes of this machine. One that dies fails its job, and another takes its place."""

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
        workers = [_Worker(share) for share in shares(cores, min(self.workers, len(jobs) or 1))]
        waiting, idle = deque(enumerate(jobs)), list(workers)
        busy: dict[Connection, tuple[_Worker, int]] = {}  # with the job's index
        try:
            while waiting or busy:
                while waiting and idle:
                    index, job = waiting.popleft()
                    worker = idle.pop(0)
                    busy[worker.give(packed(task, job))] = worker, index
                for connection in wait(list(busy)):
                    worker, index = busy[connection]
                    word = worker.word()
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


def shares(cores: Sequence[int], workers: int) -> list[list[int]]:
    """The cores of each worker, as many for each as can be; where they are too few, workers share them."""
    if workers > len(cores):
        return [[cores[worker % len(cores)]] for worker in range(workers)]
    bounds = [len(cores) * worker // workers for worker in range(workers + 1)]
    return [list(cores[first:last]) for first, last in zip(bounds, bounds[1:])]


class _Worker:
    """This end of a process that does one job after the other; it is started when there is one."""

    def __init__(self, cores: list[int]):
        self._cores = cores
        self._process = self._connection = None

    def give(self, work: bytes) -> Connection:
        """Give it a job; returns where its words arrive."""
        if self._process is None:
            self._start()
        try:
            self._connection.send_bytes(work)
        except OSError:
            pass  # it has died: `word` tells
        return self._connection

    def word(self) -> int | Outcome:
        """Its next word: of frames that are done, or what became of its job."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            self._connection.close()
            self._process.join()
            code, self._process = self._process.exitcode, None
            return Outcome(failure=f"its worker died: {_in_words(code)}", transient=True)

    def interrupt(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()  # to the worker, a KeyboardInterrupt

    def join(self, timeout_s: float) -> None:
        if self._process is not None:
            self._connection.close()  # an idle one ends by that
            self._process.join(timeout_s)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _start(self) -> None:
        # Not forked: a process in which a network ran has threads and locks that no child can use.
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._cores), name="dcfm-worker")
        with _held(signal.SIGINT):
            process.start()
        self._process = process  # one that could not be started is none
        theirs.close()


def _end(workers: Sequence[_Worker]) -> None:
    """Wait for the workers' end. Those that take too long are killed, and all if this is interrupted."""
    deadline = time.monotonic() + _END_S
    try:
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in workers:
            worker.kill()


def _serve(connection: Connection, cores: list[int]) -> None:
    """A worker's life."""
    # A terminal's Ctrl-C reaches everyone; who started this one passes it on, once.
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
        return  # who started this one has closed the connection, is gone, or has asked for the end


def _interrupt(*_) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


class _Frames:
    """Counts frames and tells of them now and then."""

    def __init__(self, connection: Connection):
        self._connection, self._count, self._told_s = connection, 0, time.monotonic()

    def add(self, frames: int) -> None:
        self._count += frames
        if time.monotonic() - self._told_s >= _REPORT_S:
            self.send()

    def send(self) -> None:
        self._connection.send(self._count)
        self._count, self._told_s = 0, time.monotonic()


@contextmanager
def _held(number: signal.Signals) -> Iterator[None]:
    """A signal that comes in between waits; a process that is started begins with it blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_words(code: int) -> str:
    """How a process ended."""
    if code == -signal.SIGKILL:
        return (
            "it was killed (SIGKILL), perhaps by the system for want of memory, of which fewer --workers "
            "need less"
        )
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
