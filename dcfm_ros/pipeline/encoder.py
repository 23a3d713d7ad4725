"""The keyframe encoder: a thread of its own that runs the deep path, so that no mask waits for it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np

from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.frames import Frame, Reason
from dcfm_ros.pipeline.turns import Turns

_log = logging.getLogger(__name__)


@dataclass
class KeyframeRequest:
    """A keyframe on its way through the encoder. `wait` returns when it is finished, whatever the outcome."""

    frame: Frame
    epoch: int                # of the camera: results of an older epoch are stale
    index: int
    image: np.ndarray         # network input, for the scheduler's bookkeeping
    shallow: Any              # the backend's independent feature: the deep path goes on from it
    reason: Reason
    score: float
    urgency: float            # score over threshold; requests that cannot wait are infinite
    requested_ns: int = field(default_factory=time.monotonic_ns)
    on_finished: Callable[[], None] = lambda: None
    finished: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        self.finished.wait()

    def finish(self) -> None:
        self.finished.set()
        self.on_finished()


@dataclass(frozen=True)
class Encoded:
    request: KeyframeRequest
    feature: Any              # common contribution
    queue_ms: float
    encode_ms: float


class _Stopped(Exception):
    """Ends an encode between two of its slices."""


class KeyframeEncoder:
    """Runs `backend.deep` on its own thread. At most one request per camera waits: a newer one displaces it.

    Any thread may call `submit` and `stop`. `on_encoded` and `on_failed` are called on the encoder's thread, before
    the request counts as finished. Frames and the slices of the deep path take `turns`. Most changed first;
    equal urgencies in order of arrival.
    """

    def __init__(
        self,
        backend: Backend,
        on_encoded: Callable[[Encoded], None],
        on_failed: Callable[[KeyframeRequest, Exception], None],
        turns: Turns | None = None,
    ):
        self._backend, self._on_encoded, self._on_failed = backend, on_encoded, on_failed
        self._turns = turns or Turns(sliced=False)
        self._waiting: dict[str, KeyframeRequest] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dcfm-keyframe-encoder", daemon=True)
        self._thread.start()

    def submit(self, request: KeyframeRequest) -> None:
        with self._changed:
            displaced = self._waiting.pop(request.frame.camera, None)
            if self._stopping:
                displaced = request
            else:
                self._waiting[request.frame.camera] = request
            self._changed.notify()
        if displaced is not None:
            displaced.finish()

    def stop(self) -> None:
        """Drop what waits, end the running encode after its slice, join the thread."""
        with self._changed:
            self._stopping = True
            left = list(self._waiting.values())
            self._waiting.clear()
            self._changed.notify()
        for request in left:
            request.finish()
        self._thread.join()

    def _run(self) -> None:
        while (request := self._next()) is not None:
            started = time.monotonic_ns()
            try:
                with self._turns.encoding():
                    feature = self._backend.deep(request.shallow, self._between_slices)
                ended = time.monotonic_ns()
                self._on_encoded(Encoded(
                    request, feature, (started - request.requested_ns) / 1e6, (ended - started) / 1e6))
            except _Stopped:
                pass
            except Exception as error:  # whatever a backend raises: masks go on, the next keyframe tries again
                self._report(request, error)
            finally:
                request.finish()

    def _between_slices(self) -> None:
        if self._stopping:
            raise _Stopped
        self._turns.give_way()

    def _report(self, request: KeyframeRequest, error: Exception) -> None:
        try:
            self._on_failed(request, error)
        except Exception:  # a thread that ended here would leave later requests waiting for ever
            _log.exception("the report of a failed keyframe raised an error itself")

    def _next(self) -> KeyframeRequest | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waiting)
            if self._stopping:
                return None
            camera = max(self._waiting, key=lambda c: (self._waiting[c].urgency, -self._waiting[c].requested_ns))
            return self._waiting.pop(camera)
