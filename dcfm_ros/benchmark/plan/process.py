# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures a model in a process of its own, so that time and memory are those of this model alone."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from dcfm_ros.benchmark.plan.measure import Reconverted, Tell, measure
from dcfm_ros.benchmark.plan.measured import Job, Measured
from dcfm_ros.interrupts import blocked_signal

_END_S = 10.0  # to end cleanly; then it is killed


@dataclass(frozen=True)
class _Progress:
    what: str
    done_s: float


def measure_apart(job: Job, tell: Tell) -> Measured:
    """Measure a model. Raises what the measurement raises, and RuntimeError if its process dies."""
    try:
        return _measure_once(job, tell, again=True)
    except Reconverted:
        return _measure_once(job, tell, again=False)


def _measure_once(job: Job, tell: Tell, again: bool) -> Measured:
    context = get_context("spawn")  # a fork would begin with the memory of this process
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, job, again), name="dcfm-plan")
    with blocked_signal(signal.SIGINT):
        process.start()
    theirs.close()
    try:
        while True:
            try:
                message = ours.recv()
            except EOFError:
                process.join()
                raise RuntimeError(f"{job.model}: {_end_of(process.exitcode)}") from None
            if isinstance(message, _Progress):
                tell(message.what, message.done_s)
            elif isinstance(message, BaseException):
                raise message
            else:
                return message
    finally:
        ours.close()
        process.terminate()
        process.join(_END_S)
        process.kill()
        process.join()


def _serve(connection: Connection, job: Job, again: bool) -> None:
    # Ctrl-C in a terminal reaches all processes; the parent ends this one by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def tell(what: str, done_s: float) -> None:
        connection.send(_Progress(what, done_s))

    try:
        connection.send(measure(job, tell, again))
    except BrokenPipeError:  # the parent has ended
        return
    except Reconverted as error:
        connection.send(error)
    except (ValueError, RuntimeError, OSError) as error:  # the message is what counts; not all can be sent
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        connection.send(kind(f"{job.model}: {error}"))


def _end_of(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL), perhaps because memory ran out: try a lighter model"
    return f"its process ended with code {code} before it had measured; run `dcfm benchmark` for the reason"
