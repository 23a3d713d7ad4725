# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network input sizes that the backend is compiled for. New ones are compiled on a separate thread."""

from __future__ import annotations

import logging
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dcfm_ros.model.geometry import input_size
from dcfm_ros.motion.flow import MAP_SHRINK
from dcfm_ros.pipeline.backends.base import Backend, forget_size

_log = logging.getLogger(__name__)
# Sizes that stay compiled: one takes street11_b0 100 MB, and cameras can have 85 of them.
_MAX_SIZES = 8


class Networks:
    """Compiled networks by input size. For one thread at a time; only `prepare` and `stop` block.

    The last _MAX_SIZES sizes stay compiled, and all that cameras currently use, so that many cameras do not
    evict each other.
    """

    def __init__(self, backend: Backend):
        self._backend = backend
        self._sizes: OrderedDict[tuple[int, int], Future] = OrderedDict()  # least recently used first
        self._cameras: dict[str, tuple[int, int]] = {}  # the size that each camera uses
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="dcfm-compile")

    def ready(self, size: tuple[int, int], camera: str = "") -> Future:
        """Return a Future that is done when the backend is ready for network inputs of size (h, w), which
        this camera uses from now on. It holds an exception if compilation failed; the next call then tries
        again."""
        compiled = self._sizes.get(size)
        if compiled is None or (compiled.done() and compiled.exception() is not None):
            compiled = self._sizes[size] = self._compiler.submit(self._compile, size)
        self._sizes.move_to_end(size)
        self._cameras[camera] = size
        self._evict()
        return compiled

    def prepare(self, model_size: tuple[int, int], aligned: bool) -> None:
        """Compile and warm up everything for images of the model's own size (H, W), while the caller waits.
        aligned: also for masks with aligned common features"""
        size = input_size(model_size, model_size)
        shallow = self._backend.shallow(np.zeros((*size, 3), np.uint8))
        commons = [self._backend.deep(shallow)]
        motion = np.ones((size[0] // MAP_SHRINK, size[1] // MAP_SHRINK, 2), np.float32)
        for with_confidence in (True, False):
            for motions in [(), [motion]] if aligned else [()]:
                self._backend.mask(shallow, commons, model_size, with_confidence, motions)
        self._sizes[size] = Future()
        self._sizes[size].set_result(None)

    def _evict(self) -> None:
        """Evict the least recently used sizes that no camera uses and that are not being compiled."""
        in_use = set(self._cameras.values())
        idle = [size for size, compiled in self._sizes.items() if size not in in_use and compiled.done()]
        for size in idle[: max(0, len(self._sizes) - _MAX_SIZES)]:
            del self._sizes[size]
            # On the compiling thread, in order, as the size may be requested again.
            self._compiler.submit(forget_size, self._backend, size)

    def _compile(self, size: tuple[int, int]) -> None:
        try:
            self._backend.prepare(size)
        except Exception:
            _log.debug("cannot prepare the backend for images of %d x %d", size[1], size[0], exc_info=True)
            raise

    def stop(self) -> None:
        """Wait for a running compilation and join the thread. Otherwise the interpreter waits for it at
        exit."""
        self._compiler.shutdown(cancel_futures=True)
