# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work that is not to be broken off in its middle: interrupts that come meanwhile wait for its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupts:
    """While it is entered, SIGINT and SIGTERM wait for the end of what is held, and then do what they did
    before.

    In other threads than the main one it does nothing: signals are none of their business.
    """

    entered: list[Interrupts] = []  # of this process, the innermost last; the main thread's alone

    def __init__(self):
        self._before: dict = {}
        self._holding = 0
        self._waiting: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
            if not self._holding and self._waiting is not None:
                number, self._waiting = self._waiting, None
                self._before[number](number, None)

    def __enter__(self) -> Interrupts:
        if _in_main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(
                    handler
                ):  # else it is ignored, or ends the process: what is on the disk is good then, too
                    self._before[number] = handler
                    signal.signal(number, self._hear)
            self.entered.append(self)
        return self

    def __exit__(self, *_) -> None:
        if self in self.entered:
            self.entered.remove(self)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame) -> None:
        if self._holding:
            self._waiting = number
        else:
            self._before[number](number, frame)


@contextmanager
def held() -> Iterator[None]:
    """As `Interrupts.held` of the one that was entered last, where there is one.

    For calls of C libraries that call Python back: an exception of a signal's handler is printed and lost in
    there.
    """
    if _in_main_thread() and Interrupts.entered:
        with Interrupts.entered[-1].held():
            yield
    else:
        yield


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
