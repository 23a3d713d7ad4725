# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hot swap for backends whose networks take minutes to build: another backend runs meanwhile and is replaced
between two frames.

Features belong to the backend that made them, so they carry a reference to it. After the swap the successor
processes new frames and keyframes; a frame whose common feature is still the predecessor's gets its mask from
the predecessor, which computes S again from the image. The camera's next keyframe ends this, usually within
`max_interval` frames. So no frame or mask is lost, none waits, and the predecessor is freed with the last
feature that refers to it.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from dcfm_ros.pipeline.backends.base import Backend, MasksOnHost, Motions, with_motions

_log = logging.getLogger(__name__)
_WARM_UP = 2  # a size with more images than this is a camera's, not a warm-up of the model's own size
_SETTLED = 100  # after this many images of a size, all cameras have shown theirs
_MAX_SIZES = 8  # maximum number of sizes with a successor: each takes its own GPU memory


class BuildStopped(Exception):
    """Raised by a builder's `build` after `stop`."""


class Builder(Protocol):
    """Builds successors, each for images of one size (H, W). All methods are thread-safe."""

    def find(self, size: tuple[int, int]) -> Backend | None:
        """Return one that was built before, without delay, or None."""

    def build(self, size: tuple[int, int], report: Callable[[str], None]) -> Backend:
        """Build one; raises BuildStopped, or any error if it cannot be built. report: called with the
        progress in words"""

    def stop(self) -> None:
        """Make a running `build`, and any later one, end soon."""


class OwnedFeature(NamedTuple):
    """A feature with the backend that made it; for an S also the image, while another backend may need it."""

    backend: Backend
    feature: Any
    image: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.feature.nbytes + (0 if self.image is None else self.image.nbytes)

    def shallow_for(self, backend: Backend) -> Any:
        """Return S as computed by that backend."""
        if self.backend is backend:
            return self.feature
        assert self.image is not None, "kept as long as there may be another backend"
        return backend.shallow(self.image)


@dataclass
class _Size:
    """State of one image size."""

    successor: Backend | None = None
    images: int = 0  # number of images so far
    progress: str = ""  # of the build, in words; "" before it is requested
    error: str = ""

    @property
    def is_waiting(self) -> bool:
        return bool(self.progress) and self.successor is None and not self.error


class SwappingBackend(MasksOnHost):
    """Runs images of each size on the builder's successor or, until that is built, on the predecessor.

    Without a predecessor, images of a new size wait for their successor. `stop` ends the builder's thread.
    """

    def __init__(
        self,
        name: str,
        device: str,
        precision: str,
        per_frame: bool,
        builder: Builder,
        predecessor: Callable[[], Backend] | None = None,
    ):
        """name, device, precision: of the successors; predecessor: creates a backend for any size"""
        self.name, self.device, self.precision, self.per_frame = name, device, precision, per_frame
        self._builder, self._make_predecessor = builder, predecessor
        self._predecessor: Backend | None = None  # while there are sizes without a successor
        self._predecessor_name = ""
        # a predecessor whose features are still in use
        self._retired: Callable[[], Backend | None] = lambda: None
        self._sizes: dict[tuple[int, int], _Size] = {}
        self._to_build: list[tuple[int, int]] = []
        self._changed = threading.Condition()  # guards the attributes above
        self._preparing = threading.Lock()  # one new size at a time
        self._stopping = False
        self._thread: threading.Thread | None = None

    def prepare(self, size: tuple[int, int]) -> None:
        with self._preparing:
            if size in self._sizes:
                return
            entry, predecessor = self._find_successor(size), self._predecessor
            if entry.successor is not None:
                pass
            elif self._make_predecessor is None:
                _log.warning(
                    "%s is being built for images of %sx%s: this takes minutes, once",
                    self.name,
                    size[1],
                    size[0],
                )
                entry.successor = self._builder.build(size, lambda progress: _log.info("%s", progress))
            else:
                predecessor = predecessor or self._make_predecessor()
                predecessor.prepare(size)
                self._predecessor_name = predecessor.name
            with self._changed:
                self._sizes[size] = entry
                if entry.successor is None:
                    self._predecessor = predecessor

    def _find_successor(self, size: tuple[int, int]) -> _Size:
        try:
            return _Size(self._builder.find(size))
        except Exception as error:  # same as in a build: the predecessor, if any, keeps running
            if self._make_predecessor is None:
                raise
            _log.error("no %s for images of %sx%s: %s", self.name, size[1], size[0], error)
            return _Size(progress="failed", error=str(error) or type(error).__name__)

    def shallow(self, image: np.ndarray) -> OwnedFeature:
        backend = self._serving(image.shape[:2])
        kept = self._predecessor is not None or self._retired() is not None
        return OwnedFeature(backend, backend.shallow(image), image.copy() if kept else None)

    def deep(self, shallow: OwnedFeature, between_slices: Callable[[], None] = lambda: None) -> OwnedFeature:
        return OwnedFeature(shallow.backend, shallow.backend.deep(shallow.feature, between_slices))

    def decode(self, shallow: OwnedFeature, commons: list[OwnedFeature], motions: Motions = ()) -> np.ndarray:
        if all(common.backend is commons[0].backend for common in commons):
            backend = commons[0].backend
            return backend.decode(
                shallow.shallow_for(backend), [common.feature for common in commons], motions
            )
        # One keyframe from before the swap and one from after it.
        return sum(
            common.backend.decode(shallow.shallow_for(common.backend), [common.feature], [motion])
            for common, motion in with_motions(commons, motions)
        )

    def mask(
        self,
        shallow: OwnedFeature,
        commons: list[OwnedFeature],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        backend = commons[0].backend
        if any(common.backend is not backend for common in commons):
            return super().mask(shallow, commons, size, with_confidence, motions)
        return backend.mask(
            shallow.shallow_for(backend),
            [common.feature for common in commons],
            size,
            with_confidence,
            motions,
        )

    def status(self) -> dict[str, str]:
        """Return, in addition to `base.status_of`, for each size the backend that runs it, or the progress of
        its successor's build."""
        with self._changed:
            sizes = {f"{size[1]}x{size[0]}": entry for size, entry in self._sizes.items()}
            retired = self._retired()
        status = {
            size: entry.error or (self.name if entry.successor else entry.progress or "no camera yet")
            for size, entry in sizes.items()
        }
        serves = f"{self._predecessor_name} serves: {self.name}"
        if waiting := [f"{size}: {entry.progress}" for size, entry in sizes.items() if entry.is_waiting]:
            status["state"] = f"{serves} is being built for {'; '.join(waiting)}"
        if failed := [f"{size}: {entry.error}" for size, entry in sizes.items() if entry.error]:
            status["problem"] = f"{serves} is not available for {'; '.join(failed)}"
        if retired is not None:
            status["in use until the next keyframe"] = retired.name
        return status

    def stop(self) -> None:
        """Stop a running build and its thread; the current backend keeps running."""
        with self._changed:
            self._stopping = True
            thread = self._thread
            self._changed.notify_all()
        self._builder.stop()
        if thread is not None:
            thread.join()

    def _serving(self, size: tuple[int, int]) -> Backend:
        """Return the backend for the next image of that size. The swap happens here."""
        while True:
            if size not in self._sizes:
                self.prepare(size)
            with self._changed:
                if (entry := self._sizes.get(size)) is not None:  # None: just removed as a warm-up size
                    return self._choice(size, entry)

    def _choice(self, size: tuple[int, int], entry: _Size) -> Backend:
        entry.images += 1
        if entry.successor is None:
            if entry.images == _WARM_UP + 1 and not entry.error:
                self._request_build(size, entry)
            assert self._predecessor is not None, "there is one while a size has no successor"
            return self._predecessor
        if entry.images == _SETTLED:
            self._retire()
        return entry.successor

    def _request_build(self, size: tuple[int, int], entry: _Size) -> None:
        if sum(bool(other.progress) for other in self._sizes.values()) >= _MAX_SIZES:
            entry.error = f"there are {_MAX_SIZES} other sizes already"
            _log.warning("no %s for images of %sx%s: %s", self.name, size[1], size[0], entry.error)
            return
        entry.progress = "waiting"
        self._to_build.append(size)
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(target=self._run, name="dcfm-successors", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while (size := self._next()) is not None:
            entry = self._sizes[size]
            try:
                successor = self._builder.build(
                    size,
                    lambda progress: setattr(entry, "progress", progress or "building"),  # noqa: B023
                )
            except BuildStopped:
                return
            except Exception as error:  # after any error of the builder the predecessor keeps running
                _log.error(
                    "%s keeps running for images of %sx%s: %s",
                    self._predecessor_name,
                    size[1],
                    size[0],
                    error,
                )
                with self._changed:
                    entry.error = str(error) or type(error).__name__
                    self._changed.notify_all()
            else:
                _log.info("%s takes over images of %sx%s", self.name, size[1], size[0])
                with self._changed:
                    entry.successor = successor
                    self._retire()
                    self._changed.notify_all()

    def _next(self) -> tuple[int, int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._to_build)
            return None if self._stopping else self._to_build.pop(0)

    def _retire(self) -> None:
        """Release the predecessor if no camera needs it. A warm-up size that is used later is prepared
        again."""
        if self._predecessor is None or any(
            entry.successor is None and entry.progress for entry in self._sizes.values()
        ):
            return
        self._sizes = {size: entry for size, entry in self._sizes.items() if entry.successor is not None}
        self._retired = weakref.ref(self._predecessor)
        self._predecessor = None
