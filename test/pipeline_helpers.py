# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of the pipeline: pictures that encode a number, and a backend whose deep path the test
controls."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from contextlib import suppress

import numpy as np

from dcfm_ros.pipeline.backends.base import MasksOnHost
from dcfm_ros.pipeline.frames import Frame, Reason
from dcfm_ros.pipeline.keyframe import Keyframe, Work
from dcfm_ros.pipeline.scheduler import Decision
from dcfm_ros.pipeline.settings import Alignment, SchedulerConfig
from dcfm_ros.pipeline.stream import Steps

TIMEOUT_S = 10.0  # of a wait that ends at once where all is well
PERIOD_NS = 66_666_667  # stamps of a 15 Hz camera
SIZE = (64, 96)
CLASSES = 8


def picture(tag: int = 0, scene: int = 128, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A grey image with a number (0..99) in its top left corner, which resizing keeps and the AKS score
    hardly sees."""
    image = np.full((*size, 3), scene, np.uint8)
    image[: size[0] // 4, : size[1] // 4] = tag
    return image


def frame(
    tag: int = 0,
    *,
    scene: int = 128,
    size: tuple[int, int] = SIZE,
    camera: str = "",
    stamp_ns: int | None = None,
    received_ns: int = 0,
    **fields,
) -> Frame:
    """Frame number `tag` of a 15 Hz camera, unless it gets another stamp."""
    stamp_ns = tag * PERIOD_NS if stamp_ns is None else stamp_ns
    return Frame(camera, stamp_ns, picture(tag, scene, size), received_ns=received_ns, **fields)


def work(
    tag: int = 0,
    camera: str = "",
    urgency: float = 1.0,
    reason: Reason | None = Reason.DEVIATION,
    is_cut: bool = False,
) -> Work:
    """Frame number `tag` after the shallow path of a FakeBackend."""
    image = frame(tag, camera=camera)
    return Work(
        image,
        tag,
        image.stamp_ns,
        image.image,
        (tag, SIZE[0] // 4, SIZE[1] // 4),
        Decision(reason, urgency, 0, urgency, is_cut),
        0.0,
        0.0,
        0.0,
    )


def keyframe(
    camera: str, urgency: float = 1.0, is_first: bool = False, tag: int = 0, is_cut: bool = False
) -> Keyframe:
    """One that no stream has made."""
    return Keyframe(work(tag, camera, urgency, is_cut=is_cut), is_first)


def paper(config: SchedulerConfig) -> SchedulerConfig:
    """The same with the published score and, where none is given, its threshold."""
    return config.resolved(Alignment.NONE)


class FakeBackend(MasksOnHost):
    """Features are the number of the image they come from; a mask's class is that of the (last) common
    feature.

    Deep calls wait while `gate` is clear and raise `deep_error` where it is set, `deep_errors_left` times;
    shallow ones have `shallow_gate` and `shallow_error`. `decoded` notes (number of the image, numbers of its
    common features) of each mask, `motions` the maps of each.
    """

    name, device, precision, per_frame = "fake", "cpu", "f32", False

    def __init__(self):
        self.gate, self.deep_started = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.shallow_gate, self.shallow_started = threading.Event(), threading.Semaphore(0)
        self.shallow_gate.set()
        self.deep_error: Exception | None = None
        self.deep_errors_left = 1_000_000
        self.shallow_error: Exception | None = None
        self.encoded: list[int] = []
        self.decoded: list[tuple[int, list[int]]] = []
        self.motions: list[list[np.ndarray | None]] = []
        self.sizes: list[tuple[int, int]] = []

    def prepare(self, size):
        pass

    def shallow(self, image):
        assert (
            image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.flags.c_contiguous
        )
        self.sizes.append(image.shape[:2])
        self.shallow_started.release()
        assert self.shallow_gate.wait(TIMEOUT_S)
        if self.shallow_error is not None:
            raise self.shallow_error
        return int(image[0, 0, 0]), image.shape[0] // 4, image.shape[1] // 4

    def deep(self, shallow, between_slices=lambda: None):
        self.deep_started.release()
        assert self.gate.wait(TIMEOUT_S)
        if self.deep_error is not None and self.deep_errors_left:
            self.deep_errors_left -= 1
            raise self.deep_error
        self.encoded.append(shallow[0])
        return shallow

    def decode(self, shallow, commons, motions=()):
        self.motions.append(list(motions))
        assert commons and all(common[1:] == shallow[1:] for common in commons), "features of different sizes"
        self.decoded.append((shallow[0], [common[0] for common in commons]))
        logits = np.zeros((CLASSES, *shallow[1:]), np.float32)
        logits[commons[-1][0] % CLASSES] = 1.0
        return logits


class Slices:
    """A deep path of two slices; the first ends when the test says `go`."""

    def __init__(self, backend):
        self.go, self._deep, self._started = threading.Semaphore(0), backend.deep, backend.deep_started
        backend.deep = self

    def __call__(self, shallow, between_slices):
        self._started.release()
        acquire(self.go)
        between_slices()
        return self._deep(shallow, between_slices)


def until_it_waits(steps: Steps) -> Future | None:
    """Drive a frame until it has to wait; returns for what. None: it has come to its end."""
    return next((step for step in steps if isinstance(step, Future) and not step.done()), None)


def settle(outcome: Future) -> None:
    """Wait until it is done, with whatever outcome."""
    with suppress(CancelledError):
        outcome.exception(TIMEOUT_S)


def acquire(semaphore: threading.Semaphore) -> None:
    assert semaphore.acquire(timeout=TIMEOUT_S), "timed out"


def wait(event: threading.Event) -> None:
    assert event.wait(TIMEOUT_S), "timed out"


def join(thread: threading.Thread) -> None:
    thread.join(TIMEOUT_S)
    assert not thread.is_alive(), "timed out"


def in_thread(function, *arguments) -> tuple[threading.Thread, list]:
    """Run in a thread; the list gets the result."""
    result: list = []
    thread = threading.Thread(target=lambda: result.append(function(*arguments)), daemon=True)
    thread.start()
    return thread, result
