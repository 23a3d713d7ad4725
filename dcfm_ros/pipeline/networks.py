# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which sizes of the network's input the backend is ready for. New ones are compiled on a thread of their
own."""

from __future__ import annotations

import logging
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dcfm_ros.model.geometry import input_size
from dcfm_ros.motion.flow import MAP_SHRINK
from dcfm_ros.pipeline.backends.base import Backend, forget_size
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input

_log = logging.getLogger(__name__)
_KEPT = 8  # sizes: one takes street11_b0 200 MB and three seconds to compile, and cameras can have 85 of them


class Networks:
    """For one thread at a time, which only `prepare` and `stop` hold up.

    The last _KEPT sizes stay compiled, and all at which cameras are now: many cameras do not push each other
    out.
    """

    def __init__(self, backend: Backend):
        self._backend = backend
        self._sizes: OrderedDict[tuple[int, int], Future] = OrderedDict()  # the last used at the end
        self._cameras: dict[str, tuple[int, int]] = {}  # at which size each is
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="dcfm-compile")

    def ready(self, size: tuple[int, int], camera: str = "") -> Future:
        """Done when the backend is ready for network inputs of size (h, w), at which this camera is from now
        on; with an exception where it cannot be. Whoever asks after that lets it try again."""
        known = self._sizes.get(size)
        if known is None or (known.done() and known.exception() is not None):
            known = self._sizes[size] = self._compiler.submit(self._compile, size)
        self._sizes.move_to_end(size)
        self._cameras[camera] = size
        self._forget()
        return known

    def prepare(self, model_size: tuple[int, int], aligned: bool) -> None:
        """Compile and warm up everything for images of the model's own size (H, W), while the caller waits.
        aligned: for masks whose common features move, too"""
        size = input_size(model_size, model_size)
        image = np.zeros((2 * size[0], 2 * size[1], 3), np.uint8)
        for writable in (True, False):  # loops are compiled for each
            image.flags.writeable = writable
            prepared = network_input(Frame("", 0, image), size)
        shallow = self._backend.shallow(prepared)
        commons = [self._backend.deep(shallow)]
        moves = np.ones((size[0] // MAP_SHRINK, size[1] // MAP_SHRINK, 2), np.float32)
        for with_confidence in (True, False):
            for motions in [(), [moves]] if aligned else [()]:
                self._backend.mask(shallow, commons, model_size, with_confidence, motions)
        self._sizes[size] = Future()
        self._sizes[size].set_result(None)

    def _forget(self) -> None:
        """The sizes that were used longest ago; not those that are being compiled."""
        in_use = set(self._cameras.values())
        idle = [size for size, compiled in self._sizes.items() if size not in in_use and compiled.done()]
        for size in idle[: max(0, len(self._sizes) - _KEPT)]:
            del self._sizes[size]
            self._compiler.submit(forget_size, self._backend, size)  # in order: it may come again

    def _compile(self, size: tuple[int, int]) -> None:
        try:
            self._backend.prepare(size)
        except Exception:
            _log.debug("cannot prepare the backend for images of %d x %d", size[1], size[0], exc_info=True)
            raise

    def stop(self) -> None:
        """Wait for what is being compiled, and join the thread. Without this, the end of Python waits as
        well."""
        self._compiler.shutdown(cancel_futures=True)
