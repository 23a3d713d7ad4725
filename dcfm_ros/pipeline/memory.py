# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tuning of malloc and the garbage collector for images and features of megabytes."""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of mallopt(3)


def share_one_heap() -> None:
    """Let all threads of the process take memory from one heap: of several each keeps for itself what was
    freed in it. Call it before libraries start threads, which is when they are imported."""
    if libc := _libc():
        libc.mallopt(_M_ARENA_MAX, 1)


def tune_malloc() -> None:
    """Make glibc keep freed memory for reuse, in the whole process: returning megabytes to the kernel and
    faulting them in again for every frame costs more than a mask."""
    if libc := _libc():
        libc.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)


def settle_memory() -> None:
    """Collect garbage, return freed memory to the kernel, and exclude all existing objects from later
    collections. Call it at the end of startup: PyTorch and OpenVINO create some 250,000 objects, and each
    full collection would block all threads for the time of several masks. Call it again once they are given
    up: until then what is excluded stays."""
    gc.unfreeze()
    gc.collect()
    if libc := _libc():
        libc.malloc_trim(0)
    gc.freeze()


def _libc() -> ctypes.CDLL | None:
    """glibc; None with another C library, whose memory stays as it is."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
    except OSError:
        return None
