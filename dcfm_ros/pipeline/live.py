"""Live driving of a segmenter: the newest frame of each camera wins, one thread makes the masks."""

from __future__ import annotations

import threading
import time
from typing import Callable

from dcfm_ros.pipeline.frames import Frame, Segmentation
from dcfm_ros.pipeline.segmenter import Segmenter


class LiveSegmenter:
    """A thread around `Segmenter.process`. Any thread may call `offer`, which never waits for a mask.

    At most one frame per camera waits; a newer one takes its place, and the drop is counted. The camera whose frame
    has waited longest goes first. `on_mask` and `on_error` are called on the worker's thread.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        on_mask: Callable[[Segmentation], None],
        on_error: Callable[[str, Exception], None],
    ):
        self._segmenter, self._on_mask, self._on_error = segmenter, on_mask, on_error
        self._waiting: dict[str, Frame] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dcfm-masks", daemon=True)
        self._thread.start()

    def offer(self, frame: Frame) -> None:
        camera = self._segmenter.camera(frame.camera)
        camera.counts["received"] += 1
        camera.last_arrival_ns = time.monotonic_ns()
        camera.arrivals.add(camera.last_arrival_ns)
        with self._changed:
            if self._waiting.pop(frame.camera, None) is not None:
                camera.counts["dropped"] += 1
                camera.dropped_since_mask += 1
            self._waiting[frame.camera] = frame
            self._changed.notify()

    def refuse(self, camera_name: str, kind: str, error: Exception) -> None:
        """Count an image that could not be used."""
        camera = self._segmenter.camera(camera_name)
        camera.counts["received"] += 1
        camera.last_arrival_ns = time.monotonic_ns()
        camera.arrivals.add(camera.last_arrival_ns)
        camera.refused[kind] += 1
        camera.last_error = str(error)

    def stop(self) -> None:
        """Drop what waits, finish the frame in work, join the thread. The segmenter itself goes on."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (frame := self._next()) is not None:
            try:
                for segmentation in self._segmenter.process(frame):
                    self._on_mask(segmentation)
            except Exception as error:  # one bad frame or camera must not end the masks of all
                camera = self._segmenter.camera(frame.camera)
                camera.counts["failures"] += 1
                camera.last_error = f"{type(error).__name__}: {error}"
                self._on_error(frame.camera, error)

    def _next(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waiting)
            if self._stopping:
                return None
            camera = min(self._waiting, key=lambda name: self._waiting[name].received_ns)
            return self._waiting.pop(camera)
