# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""numba's `njit` with compiled functions cached on disk, if there is a place for the cache."""

from __future__ import annotations

import os
from collections.abc import Callable

import numba

from dcfm_ros import environment
from dcfm_ros.interrupts import deferred_signals

_HAS_CACHE = environment.prepare()  # numba determines its cache folder when it decorates functions
# numba has read this variable on import, before that.
setattr(numba.config, "CACHE_DIR", os.environ.get("NUMBA_CACHE_DIR", ""))  # noqa: B010 (made when it is loaded)


def njit(cache: bool = False, **options) -> Callable[[Callable], Callable]:
    """Same as `numba.njit`, which fails for a function that it cannot cache; such a function is compiled at
    each start instead. `prepare` has reported that there is no cache."""

    def compiled(function: Callable) -> Callable:
        try:
            dispatcher = numba.njit(cache=cache and _HAS_CACHE, **options)(function)
        except RuntimeError as error:
            if not cache or "no locator available" not in str(error):
                raise
            dispatcher = numba.njit(**options)(function)
        # Loads or compiles the function for new argument types. LLVM calls back into Python meanwhile.
        dispatcher.compile = deferred_signals()(dispatcher.compile)
        return dispatcher

    return compiled
