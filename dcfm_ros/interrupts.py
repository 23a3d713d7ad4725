# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM: temporary handlers, and code that they must not interrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handlers = dict[int, Any]  # as signal.getsignal has them, by signal


def set_stop_handlers(handler: Any, replaces: Callable[[Any], bool] = lambda former: True) -> Handlers:
    """Install a handler for SIGINT and SIGTERM; return the former ones for `restore_handlers`.

    Does nothing outside the main thread, the only one in which Python handles signals.

    handler: as for signal.signal: a function of signal and frame, SIG_IGN or SIG_DFL
    replaces: decides whether a former handler is replaced
    """
    if not _in_main_thread():
        return {}
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    former = {number: before for number, before in handlers.items() if replaces(before)}
    for number in former:
        signal.signal(number, handler)
    return former


def restore_handlers(former: Mapping[int, Any]) -> None:
    for number, handler in former.items():
        signal.signal(number, handler)


class Interrupts:
    """While entered, SIGINT and SIGTERM wait for the end of a `deferred` block, and then act as before.

    Only in the main thread, and only for handlers that are functions: an ignored signal stays ignored, and
    one that ends the process does so at once, which leaves valid files on disk as well.
    """

    entered: list[Interrupts] = []  # of this process's main thread, the innermost last

    def __init__(self):
        self._former: Handlers = {}
        self._depth = 0  # nesting depth of deferred blocks
        self._pending: int | None = None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Signals that arrive in this block are handled at its end. Blocks may be nested."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth and self._pending is not None:
                number, self._pending = self._pending, None
                self._former[number](number, None)

    def __enter__(self) -> Interrupts:
        if _in_main_thread():
            self._former = set_stop_handlers(self._on_signal, replaces=callable)
            self.entered.append(self)
        return self

    def __exit__(self, *_) -> None:
        if self in self.entered:
            self.entered.remove(self)
        restore_handlers(self._former)

    def _on_signal(self, number: int, frame) -> None:
        if self._depth:
            self._pending = number
        else:
            self._former[number](number, frame)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """`Interrupts.deferred` of the innermost instance; without one, signals are not deferred.

    For calls of C libraries that call back into Python, where an exception of a signal handler would be
    printed and lost.
    """
    if _in_main_thread() and Interrupts.entered:
        with Interrupts.entered[-1].deferred():
            yield
    else:
        yield


@contextmanager
def blocked_signal(number: signal.Signals) -> Iterator[None]:
    """Block a signal until the end of the block; a process started in the block inherits the blocked
    signal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
