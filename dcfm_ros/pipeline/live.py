# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live segmentation: one thread makes the masks, always from the newest image of each camera."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from dcfm_ros.pipeline.frames import Frame, PublishError, Segmentation
from dcfm_ros.pipeline.image_queue import Arrival, ImageQueue
from dcfm_ros.pipeline.keyframe import join_timed_out
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.stream import Steps

_log = logging.getLogger(__name__)


class LiveSegmenter:
    """The mask thread, which runs the frames of a segmenter. Any thread may call `offer`, which never blocks
    on a mask.

    At most `waiting` images per camera are queued; a newer one displaces the oldest, which is counted as
    dropped. A queue longer than one bridges stalls of the machine at the cost of some latency. Cameras are
    served least recently served first, so under overload each gets its full rate or an equal share. A frame
    that must wait for a network to be compiled or for its camera's first common feature is suspended while
    other cameras continue. Images are decoded on this thread, so dropped ones cost nothing.
    `on_mask` is called on this thread; its exceptions are counted and reported like the segmenter's errors.
    """

    def __init__(self, segmenter: Segmenter, on_mask: Callable[[Segmentation], None], waiting: int = 1):
        self._segmenter, self._on_mask = segmenter, on_mask
        self._images = ImageQueue(waiting)
        # by camera, with the Future that it waits for; used by the mask thread only
        self._suspended: dict[str, tuple[Steps, Future]] = {}
        self._abandoned = threading.Event()  # `stop` timed out joining the thread
        if segmenter.driving.locked():
            raise RuntimeError(
                "a frame from before the last deactivation is still in progress, because its deep path does "
                "not return: clean up, or restart"
            )
        self._thread = threading.Thread(target=self._run, name="dcfm-masks", daemon=True)
        self._thread.start()

    def offer(self, camera: str, load: Callable[[int], Frame]) -> None:
        """Queue an image that has arrived. `load(received_ns)` returns its frame, or raises InputError."""
        self._images.put(Arrival(self._segmenter.telemetry(camera), time.monotonic_ns(), load))

    def stop(self) -> None:
        """Discard queued images, finish the frame in progress and join the thread. The segmenter keeps
        running."""
        self._images.close()
        if join_timed_out(self._thread):
            self._abandoned.set()

    def _run(self) -> None:
        with self._segmenter.driving:
            while not self._images.is_closed:
                self._segmenter.collect()
                for camera in [camera for camera, (_, awaited) in self._suspended.items() if awaited.done()]:
                    steps, _ = self._suspended.pop(camera)
                    self._drive(camera, steps)
                if (arrival := self._images.take(blocked=self._suspended)) is not None:
                    self._drive(arrival.camera, self._steps(arrival))
            self._discard()

    def _discard(self) -> None:
        """Discard suspended and waiting frames."""
        for camera, (steps, _) in self._suspended.items():
            steps.close()
            self._segmenter.telemetry(camera).count("discarded")
        self._segmenter.collect()
        self._segmenter.drop_waiting()

    def _steps(self, arrival: Arrival) -> Steps:
        started = time.perf_counter()
        frame = arrival.load(arrival.received_ns)
        arrival.telemetry.convert.add(1e3 * (time.perf_counter() - started))
        yield from self._segmenter.steps(frame, self._images.wake)

    def _drive(self, camera: str, steps: Steps) -> None:
        """Advance a frame until it has to wait or is finished."""
        try:
            for step in steps:
                if not isinstance(step, Future):
                    self._publish(step)
                elif not step.done():
                    self._suspended[camera] = steps, step
                    step.add_done_callback(lambda done: self._images.wake())
                    return
        except Exception as error:  # one bad image or camera must not end the masks of all
            self._segmenter.report(camera, error)

    def _publish(self, mask: Segmentation) -> None:
        if self._abandoned.is_set():
            return
        started = time.perf_counter()
        try:
            self._on_mask(mask)
        except Exception as error:  # neither must a mask that cannot be published
            self._segmenter.report(mask.frame.camera, PublishError("mask", error))
        self._segmenter.telemetry(mask.frame.camera).publish.add(1e3 * (time.perf_counter() - started))
