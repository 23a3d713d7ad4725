# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of images and features, which come and go by the megabyte."""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for the whole process: returning and faulting in megabytes per frame
    costs more than a mask."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
    except (OSError, AttributeError):  # another C library: slower, not wrong
        pass


def keep_what_is_there() -> None:
    """Collect garbage, and from now on look only at what is made later. For the end of a start: PyTorch and
    OpenVINO leave some 250,000 objects, and each full collection would hold all threads up for the time of
    several masks."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
