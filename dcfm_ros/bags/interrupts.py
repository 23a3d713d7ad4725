# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work that is not to be broken off in its middle: interrupts that come meanwhile wait for its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupts:
    """While it is entered, SIGINT and SIGTERM wait for the end of what is held, and then do what they did before.

    In other threads than the main one it does nothing: signals are none of their business.
    """

    def __init__(self):
        self._before: dict = {}
        self._holding = False
        self._waiting: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        self._holding = True
        try:
            yield
        finally:
            self._holding, number, self._waiting = False, self._waiting, None
            if number is not None:
                self._before[number](number, None)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):   # else it is ignored, or ends the process: what is on the disk is good then, too
                    self._before[number] = handler
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame) -> None:
        if self._holding:
            self._waiting = number
        else:
            self._before[number](number, frame)
