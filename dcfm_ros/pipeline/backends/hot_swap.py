# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A backend whose networks take minutes to build: another one serves meanwhile, and is swapped between two
frames.

Features belong to the backend that made them, so they carry it. After the swap new frames and keyframes are
the successor's; a frame whose common feature is still the predecessor's gets its mask from that one, which
computes its S once more from the image. Each camera's next keyframe ends this, as a rule within
`max_interval` frames. So no frame and no mask is lost, none waits, and the predecessor goes with the last
feature that carries it.
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
_WARM_UP = 2  # images of a size after which it is taken for a camera's, not for a warm-up of the model's own
_SETTLED = 100  # images of a size by which all cameras have shown theirs
_MOST_SIZES = 8  # that get successors: each has memory of its own on the GPU


class BuildStopped(Exception):
    """What a builder's `build` raises when it was told to stop."""


class Builder(Protocol):
    """Makes successors, each for images of one size (H, W). Any thread may call any of these."""

    def find(self, size: tuple[int, int]) -> Backend | None:
        """One that was built before, at once."""

    def build(self, size: tuple[int, int], report: Callable[[str], None]) -> Backend:
        """A new one; raises BuildStopped, or any error where there is none to be had. report(progress in
        words)."""

    def stop(self) -> None:
        """A `build` under way, and any later one, ends soon."""


class Made(NamedTuple):
    """A feature, what made it, and of an S the image, while another backend may need it."""

    backend: Backend
    feature: Any
    image: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.feature.nbytes + (0 if self.image is None else self.image.nbytes)

    def of(self, backend: Backend) -> Any:
        """S as that backend makes it."""
        return self.feature if self.backend is backend else backend.shallow(self.image)


@dataclass
class _Size:
    """Images of one size."""

    successor: Backend | None = None
    images: int = 0  # so far
    progress: str = ""  # "" before the build is asked for
    error: str = ""

    @property
    def waits(self) -> bool:
        return bool(self.progress) and self.successor is None and not self.error


class SwappingBackend(MasksOnHost):
    """Serves images of each size with the builder's successor or, until that is built, with the predecessor.

    Without a predecessor images of a new size wait for their successor. `stop` ends the builder's thread.
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
        """name, device and precision are the successors'; predecessor makes a backend, for any size."""
        self.name, self.device, self.precision, self.per_frame = name, device, precision, per_frame
        self._builder, self._make_predecessor = builder, predecessor
        self._predecessor: Backend | None = None  # while there are sizes without a successor
        self._predecessor_name = ""
        self._retired: Callable[[], Backend | None] = lambda: (
            None
        )  # a predecessor of which features are still in use
        self._sizes: dict[tuple[int, int], _Size] = {}
        self._to_build: list[tuple[int, int]] = []
        self._changed = threading.Condition()  # guards all of these
        self._preparing = threading.Lock()  # one new size at a time
        self._stopping = False
        self._thread: threading.Thread | None = None

    def prepare(self, size: tuple[int, int]) -> None:
        with self._preparing:
            if size in self._sizes:
                return
            entry, predecessor = self._found(size), self._predecessor
            if entry.successor is None and self._make_predecessor is None:
                _log.warning(
                    "%s is being built for images of %sx%s: this takes minutes, once",
                    self.name,
                    size[1],
                    size[0],
                )
                entry.successor = self._builder.build(size, lambda progress: _log.info("%s", progress))
            elif entry.successor is None:
                predecessor = predecessor or self._make_predecessor()
                predecessor.prepare(size)
                self._predecessor_name = predecessor.name
            with self._changed:
                self._sizes[size] = entry
                if entry.successor is None:
                    self._predecessor = predecessor

    def _found(self, size: tuple[int, int]) -> _Size:
        try:
            return _Size(self._builder.find(size))
        except Exception as error:  # as in a build: the predecessor goes on, where there is one
            if self._make_predecessor is None:
                raise
            _log.error("no %s for images of %sx%s: %s", self.name, size[1], size[0], error)
            return _Size(progress="failed", error=str(error) or type(error).__name__)

    def shallow(self, image: np.ndarray) -> Made:
        backend = self._serving(image.shape[:2])
        kept = self._predecessor is not None or self._retired() is not None
        return Made(backend, backend.shallow(image), image.copy() if kept else None)

    def deep(self, shallow: Made, between_slices: Callable[[], None] = lambda: None) -> Made:
        return Made(shallow.backend, shallow.backend.deep(shallow.feature, between_slices))

    def decode(self, shallow: Made, commons: list[Made], motions: Motions = ()) -> np.ndarray:
        if all(common.backend is commons[0].backend for common in commons):
            backend = commons[0].backend
            return backend.decode(shallow.of(backend), [common.feature for common in commons], motions)
        # keyframes on both sides of the swap
        return sum(
            common.backend.decode(shallow.of(common.backend), [common.feature], [motion])
            for common, motion in with_motions(commons, motions)
        )

    def mask(
        self,
        shallow: Made,
        commons: list[Made],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        backend = commons[0].backend
        if any(common.backend is not backend for common in commons):
            return super().mask(shallow, commons, size, with_confidence, motions)
        return backend.mask(
            shallow.of(backend), [common.feature for common in commons], size, with_confidence, motions
        )

    def status(self) -> dict[str, str]:
        """As `base.status_of`: for each size what serves it, or how far its successor is."""
        with self._changed:
            sizes = {f"{size[1]}x{size[0]}": entry for size, entry in self._sizes.items()}
            retired = self._retired()
        status = {
            size: entry.error or (self.name if entry.successor else entry.progress or "no camera yet")
            for size, entry in sizes.items()
        }
        serves = f"{self._predecessor_name} serves: {self.name}"
        if waiting := [f"{size}: {entry.progress}" for size, entry in sizes.items() if entry.waits]:
            status["state"] = f"{serves} is being built for {'; '.join(waiting)}"
        if failed := [f"{size}: {entry.error}" for size, entry in sizes.items() if entry.error]:
            status["problem"] = f"{serves} cannot be had for {'; '.join(failed)}"
        if retired is not None:
            status["in use until the next keyframe"] = retired.name
        return status

    def stop(self) -> None:
        """End a build under way and its thread; what serves goes on serving."""
        with self._changed:
            self._stopping = True
            thread = self._thread
            self._changed.notify_all()
        self._builder.stop()
        if thread is not None:
            thread.join()

    def _serving(self, size: tuple[int, int]) -> Backend:
        """What runs the next image of that size. The swap is here."""
        while True:
            if size not in self._sizes:
                self.prepare(size)
            with self._changed:
                if (
                    entry := self._sizes.get(size)
                ) is not None:  # else it was retired as a warm-up in this very moment
                    return self._choice(size, entry)

    def _choice(self, size: tuple[int, int], entry: _Size) -> Backend:
        entry.images += 1
        if entry.successor is None:
            if entry.images == _WARM_UP + 1 and not entry.error:
                self._ask_for(size, entry)
            return self._predecessor
        if entry.images == _SETTLED:
            self._retire()
        return entry.successor

    def _ask_for(self, size: tuple[int, int], entry: _Size) -> None:
        if sum(bool(other.progress) for other in self._sizes.values()) >= _MOST_SIZES:
            entry.error = f"there are {_MOST_SIZES} other sizes already"
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
            except Exception as error:  # whatever a builder raises: the predecessor goes on
                _log.error(
                    "%s goes on for images of %sx%s: %s", self._predecessor_name, size[1], size[0], error
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
        """Let the predecessor go where no camera needs it. Sizes of a warm-up that come again are prepared
        again."""
        if self._predecessor is None or any(
            entry.successor is None and entry.progress for entry in self._sizes.values()
        ):
            return
        self._sizes = {size: entry for size, entry in self._sizes.items() if entry.successor is not None}
        self._retired = weakref.ref(self._predecessor)
        self._predecessor = None
