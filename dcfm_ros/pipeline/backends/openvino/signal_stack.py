# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps a thread's signal stack through the loading of a library that changes it.

On processors with AMX, OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack of the
least size that the kernel takes (20 KB seen). Python runs its signal handlers there, and their first call
saves all registers once more: the stack overflows, and SIGINT or the end of a child process becomes a
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
    """The alternate signal stack of the calling thread."""
    stack = SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Afterwards the calling thread has the signal stack that it had before, or none."""
    if not sys.platform.startswith("linux"):
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        if signal_stack().address != before.address:
            ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
