# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles the pipeline's loops before the first frame. Numba does so at their first call, which takes
seconds where nothing is cached yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.postprocess import upsampled_argmax, upsampled_argmax_confidence
from dcfm_ros.pipeline.preprocess import network_input


def compile_loops() -> None:
    """Compile what every frame passes, for the types of arrays that occur."""
    network_input(Frame("", 0, np.zeros((64, 64, 3), np.uint8)), (32, 32))
    logits = np.zeros((8, 8, 2), np.float32).transpose(2, 0, 1)
    upsampled_argmax(logits, (16, 16))
    upsampled_argmax_confidence(logits, (16, 16))


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Do `work` on a thread of its own while the block runs; its exceptions are raised at the block's end."""
    with ThreadPoolExecutor(1, thread_name_prefix="dcfm-loops") as pool:
        done = pool.submit(work)
        yield
    done.result()
