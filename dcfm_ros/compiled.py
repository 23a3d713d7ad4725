# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""numba's `njit` for functions that are kept compiled, also where there is no place to keep them."""

from __future__ import annotations

from collections.abc import Callable

import numba

from dcfm_ros import environment
from dcfm_ros.interrupts import held

environment.prepare()  # numba looks for its folder while it reads functions


def njit(cache: bool = False, **options) -> Callable[[Callable], Callable]:
    """As `numba.njit`, which refuses to load a function that it cannot keep: such a function is compiled at
    each start. That nothing can be kept, `prepare` has said."""

    def compiled(function: Callable) -> Callable:
        try:
            dispatcher = numba.njit(cache=cache, **options)(function)
        except RuntimeError as error:
            if not cache or "no locator available" not in str(error):
                raise
            dispatcher = numba.njit(**options)(function)
        # What loads or compiles it for arguments of new types. LLVM calls Python back meanwhile.
        dispatcher.compile = held()(dispatcher.compile)
        return dispatcher

    return compiled
