# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queue of images for the mask thread: the newest of each camera, cameras in turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Container
from typing import NamedTuple

from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.telemetry import CameraTelemetry


class Arrival(NamedTuple):
    """An image of a camera. `load(received_ns)` returns its frame, or raises InputError."""

    telemetry: CameraTelemetry
    received_ns: int
    load: Callable[[int], Frame]

    @property
    def camera(self) -> str:
        return self.telemetry.camera


class ImageQueue:
    """Holds at most `limit` images per camera; a newer one displaces the oldest, which is counted as dropped.
    `put`, `wake` and `close` are thread-safe; one thread calls `take`."""

    def __init__(self, limit: int):
        self._limit = limit
        self._cameras: dict[str, deque[Arrival]] = {}  # least recently served first
        self._changed = threading.Condition()
        self._woken = self._closed = False

    def __len__(self) -> int:
        """Number of queued images."""
        with self._changed:
            return sum(map(len, self._cameras.values()))

    def put(self, arrival: Arrival) -> None:
        with self._changed:
            arrival.telemetry.arrived(arrival.received_ns)
            if self._closed:
                arrival.telemetry.count("discarded")
                return
            images = self._cameras.setdefault(arrival.camera, deque())
            if len(images) == self._limit:
                images.popleft().telemetry.dropped()
            images.append(arrival)
            self._changed.notify()

    def take(self, blocked: Container[str]) -> Arrival | None:
        """Return the oldest image of the least recently served camera that is not `blocked`; waits for one.
        None if `wake` or `close` was called."""
        with self._changed:
            while not self._woken and not self._closed:
                for camera, images in self._cameras.items():
                    if images and camera not in blocked:
                        self._cameras[camera] = self._cameras.pop(camera)  # behind the others
                        return images.popleft()
                self._changed.wait()
            self._woken = False
            return None

    def wake(self) -> None:
        """Make `take` return."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def close(self) -> None:
        """Discard queued images and make `take` return from now on."""
        with self._changed:
            self._closed = True
            for images in self._cameras.values():
                for arrival in images:
                    arrival.telemetry.count("discarded")
            self._cameras.clear()
            self._changed.notify()

    @property
    def is_closed(self) -> bool:
        with self._changed:
            return self._closed
