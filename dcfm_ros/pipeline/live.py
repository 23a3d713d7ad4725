# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live driving of a segmenter: the newest image of each camera wins, one thread makes the masks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Callable, NamedTuple

from dcfm_ros.pipeline.frames import Frame, InputError, Segmentation
from dcfm_ros.pipeline.segmenter import Segmenter

_log = logging.getLogger(__name__)


class _Arrival(NamedTuple):
    received_ns: int
    load: Callable[[int], Frame]


class LiveSegmenter:
    """A thread around `Segmenter.process`. Any thread may call `offer`, which never waits for a mask.

    At most `waiting` images per camera wait; a newer one pushes the oldest out, and the drop is counted. More than one
    bridges moments in which the machine is held up, for a little latency. The camera whose last turn is longest ago goes
    first, so under overload each has its full rate or an equal share.
    Images are decoded on the worker's thread, so dropped ones cost nothing.
    `on_mask` and `on_error` are called on the worker's thread; what they raise is counted and reported, too.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        on_mask: Callable[[Segmentation], None],
        on_error: Callable[[str, Exception], None],
        waiting: int = 1,
    ):
        self._segmenter, self._on_mask, self._on_error = segmenter, on_mask, on_error
        self._limit = waiting
        self._waiting: dict[str, deque[_Arrival]] = {}
        self._changed = threading.Condition()
        self._stopping = False
        segmenter.park(self._wake)
        self._thread = threading.Thread(target=self._run, name="dcfm-masks", daemon=True)
        self._thread.start()

    def offer(self, camera_name: str, load: Callable[[int], Frame]) -> None:
        """An image has arrived. `load(received_ns)` makes the frame of it, or raises InputError."""
        camera, now = self._segmenter.camera(camera_name), time.monotonic_ns()
        with self._changed:
            camera.arrived(now)
            queue = self._waiting.setdefault(camera_name, deque())
            if len(queue) == self._limit:
                queue.popleft()
                camera.dropped()
            queue.append(_Arrival(now, load))
            self._changed.notify()

    def stop(self) -> None:
        """Drop what waits, finish the frame in work, join the thread. The segmenter itself goes on."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join()
        self._segmenter.park(None)

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            name, arrival = taken
            try:
                for segmentation in self._segmenter.resume(name) if arrival is None else self._process(name, arrival):
                    started = time.perf_counter()
                    self._on_mask(segmentation)
                    self._segmenter.camera(name).publish.add(1e3 * (time.perf_counter() - started))
            except Exception as error:  # one bad image or camera must not end the masks of all
                self._report(name, error)

    def _process(self, name: str, arrival: _Arrival) -> list[Segmentation]:
        started = time.perf_counter()
        frame = arrival.load(arrival.received_ns)
        self._segmenter.camera(name).convert.add(1e3 * (time.perf_counter() - started))
        return self._segmenter.process(frame)

    def _report(self, name: str, error: Exception) -> None:
        kind = error.kind if isinstance(error, InputError) else None
        self._segmenter.camera(name).failed(error, kind)
        try:
            self._on_error(name, error)
        except Exception:  # a thread that ended here would take the masks of all cameras with it
            _log.exception("the report of a failed image raised an error itself")

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _next(self) -> tuple[str, _Arrival | None] | None:
        """The camera whose turn it is, and its image: None where a parked one goes on. None: stop."""
        with self._changed:
            # Cameras in the order of their last turns; those with a parked image have to wait.
            name = parked = None
            while not self._stopping and name is None:
                parked = self._segmenter.resumable()
                free = (name for name, queue in self._waiting.items() if queue and not self._segmenter.is_parked(name))
                name = next(free, None) if parked is None else parked  # the only camera has an empty name
                if name is None:
                    self._changed.wait()
            if self._stopping:
                return None
            if parked is not None:
                return name, None
            queue = self._waiting.pop(name)
            self._waiting[name] = queue  # behind the other cameras
            return name, queue.popleft()
