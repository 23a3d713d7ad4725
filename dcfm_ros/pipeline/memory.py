# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tuning of malloc and the garbage collector for images and features of megabytes."""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def tune_malloc() -> None:
    """Make glibc keep freed memory for reuse, in the whole process: returning megabytes to the kernel and
    faulting them in again for every frame costs more than a mask."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
    except (OSError, AttributeError):  # another C library: only slower
        pass


def freeze_gc() -> None:
    """Collect garbage and exclude all existing objects from later collections. Call it at the end of startup:
    PyTorch and OpenVINO create some 250,000 objects, and each full collection would block all threads for the
    time of several masks."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
