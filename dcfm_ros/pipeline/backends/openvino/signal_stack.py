# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Preserves a thread's alternate signal stack while a library that replaces it is loaded.

On processors with AMX, OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack of the
minimum size that the kernel accepts (20 KB seen). Python runs its signal handlers there, and their first call
saves all registers once more: the stack overflows, and SIGINT or the exit of a child process becomes a
segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class SignalStack(ctypes.Structure):
    """`stack_t` of sigaltstack(2) on Linux."""

    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def signal_stack() -> SignalStack:
    """Return the alternate signal stack of the calling thread."""
    stack = SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Restore the calling thread's alternate signal stack, or its absence, on exit."""
    if not sys.platform.startswith("linux"):
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        if signal_stack().address != before.address:
            ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
