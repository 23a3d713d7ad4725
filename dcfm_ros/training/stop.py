# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ending early: a signal, or the time at hand is over. Training asks between two iterations."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

GO_ON = -1

_NOTICE = b"\nThe iteration is being finished and a checkpoint saved\n"


class StopRequest:
    """While it is entered, SIGINT and SIGTERM ask for an end instead of ending the process.

    minutes: at hand for training, counted from now; None: all
    speaks: whether this process tells that it has heard
    A second Ctrl-C ends at once, except in a group, where torchrun passes the first one on.
    """

    def __init__(self, minutes: float | None = None, speaks: bool = True):
        if minutes is not None and not minutes > 0:
            raise ValueError(f"minutes {minutes}: use a number above 0")
        self._end = math.inf if minutes is None else time.monotonic() + 60.0 * minutes
        self._signal: int | None = None
        self._speaks, self._in_group = speaks, "RANK" in os.environ
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # signals are no other thread's business
            self._before = {
                number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def seconds_left(self) -> float:
        return self._end - time.monotonic()

    @property
    def code(self) -> int:
        """The exit code to end with: GO_ON to go on, 0 where time is over, 128 + its number after a
        signal."""
        if self._signal is not None:
            return 128 + self._signal
        return 0 if time.monotonic() >= self._end else GO_ON

    def _hear(self, number: int, frame) -> None:
        if number == self._signal == signal.SIGINT and not self._in_group:
            raise KeyboardInterrupt
        if self._signal is None and self._speaks:
            os.write(2, _NOTICE)  # print() may be what was interrupted
        self._signal = number
