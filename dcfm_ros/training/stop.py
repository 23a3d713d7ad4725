# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests to stop early: a signal, or the end of the time limit. Training checks between two iterations."""

from __future__ import annotations

import math
import os
import signal
import time

from dcfm_ros.interrupts import Handlers, restore_handlers, set_stop_handlers

GO_ON = -1

_NOTICE = b"\nThe iteration is being finished and a checkpoint saved\n"


class StopRequest:
    """While entered, SIGINT and SIGTERM request a stop instead of ending the process.

    minutes: time limit, counted from now; None: unlimited
    verbose: whether this process prints that it received a signal

    A second Ctrl-C ends the process at once, except in a group, where torchrun forwards the first one.
    """

    def __init__(self, minutes: float | None = None, verbose: bool = True):
        if minutes is not None and not minutes > 0:
            raise ValueError(f"minutes {minutes}: use a number above 0")
        self._end = math.inf if minutes is None else time.monotonic() + 60.0 * minutes
        self._signal: int | None = None
        self._verbose, self._in_group = verbose, "RANK" in os.environ
        self._former: Handlers = {}

    def __enter__(self) -> StopRequest:
        self._former = set_stop_handlers(self._on_signal)
        return self

    def __exit__(self, *error) -> None:
        restore_handlers(self._former)

    @property
    def seconds_left(self) -> float:
        return self._end - time.monotonic()

    @property
    def code(self) -> int:
        """The exit code to end with: GO_ON to continue, 0 if the time is up, 128 + signal number after a
        signal."""
        if self._signal is not None:
            return 128 + self._signal
        return 0 if time.monotonic() >= self._end else GO_ON

    def _on_signal(self, number: int, frame) -> None:
        if number == self._signal == signal.SIGINT and not self._in_group:
            raise KeyboardInterrupt
        if self._signal is None and self._verbose:
            os.write(2, _NOTICE)  # the signal may have interrupted print()
        self._signal = number
