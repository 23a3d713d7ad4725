# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Viewer of a run: sends results to the Rerun viewer while they are made, or into a file for it. Optional."""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from dcfm_ros.viewer.target import LIVE, check_target

_WAITING = 16  # maximum number of queued frames
_END_S = 30.0  # timeout for showing and writing queued frames at the end
_log = logging.getLogger(__name__)


class Scene(Protocol):
    """Interface that a viewer draws on; called from one thread. All methods may raise."""

    def classes(self, classes: Sequence[tuple[int, str, tuple[int, int, int]]]) -> None: ...

    def frame(
        self,
        camera: str,
        stamp_ns: int,
        image: np.ndarray | None,
        mask: np.ndarray,
        score: float | None,
        threshold: float | None,
        is_keyframe: bool,
        age_frames: int | None,
        reference: np.ndarray | None,
    ) -> None: ...

    def keyframe(self, camera: str, stamp_ns: int, reason: str, score: float) -> None: ...

    def close(self) -> None: ...


def open_viewer(target: str) -> Viewer:
    """Open the Rerun viewer in a window (`rerun`; without a display, and for `rerun:web`, in a browser at a
    URL that is printed), or a file for it (a name that ends in `.rrd`).

    Raises ValueError for another target, ModuleNotFoundError if rerun-sdk is missing, and OSError if the
    viewer does not open or the file cannot be written.
    """
    check_target(target)
    try:
        from dcfm_ros.viewer.rerun_scene import RerunScene
    except ImportError as error:
        raise ModuleNotFoundError(
            f"the viewer needs rerun-sdk ({error}): pip install 'rerun-sdk==0.41.*', with Python 3.11 or "
            "newer"
        ) from error
    return Viewer(RerunScene(target), complete=target not in LIVE)


class Viewer:
    """Viewer with its own thread, so that its errors do not affect the run: they are logged once and counted.

    complete: for files: block rather than drop frames when `_WAITING` frames are queued. A live viewer that
        cannot keep up drops frames and counts them
    All methods are thread-safe; arrays are read later, so they must not be modified. The owner calls `close`,
    after which nothing more is shown.
    """

    def __init__(self, scene: Scene, complete: bool = False):
        self.errors = 0  # number of frames and events that could not be shown
        self.left_out = 0  # number dropped because the viewer could not keep up
        self._scene, self._complete = scene, complete
        self._closed = False
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="dcfm-viewer", daemon=True)
        self._thread.start()

    def classes(self, classes: Sequence[tuple[int, str, tuple[int, int, int]]]) -> None:
        """Set the classes: id, name and RGB colour of each."""
        classes = [(number, name, (color[0], color[1], color[2])) for number, name, color in classes]
        self._show(lambda: self._scene.classes(classes))

    def frame(
        self,
        camera: str,
        stamp_ns: int,
        image_rgb: np.ndarray | None,
        mask: np.ndarray,
        score: float | None,
        threshold: float | None,
        is_keyframe: bool,
        age_frames: int | None,
        reference: np.ndarray | None = None,
    ) -> None:
        """Show a frame with its mask.

        camera: "" for an only one; image_rgb: (H, W, 3) uint8, None to show none; mask, reference (that of a
        per-frame run): (H, W) uint8 class ids, 255 = unlabelled; score, threshold: of AKS; age_frames: of the
        common feature. None: unknown.
        """
        self._show(
            lambda: self._scene.frame(
                camera,
                stamp_ns,
                image_rgb,
                mask,
                _finite(score),
                _finite(threshold),
                is_keyframe,
                age_frames,
                reference,
            )
        )

    def keyframe(self, camera: str, stamp_ns: int, reason: str, score: float) -> None:
        """Show a keyframe whose common feature is ready. stamp_ns: of its image; reason: first, deviation,
        interval, ..."""
        self._show(lambda: self._scene.keyframe(camera, stamp_ns, reason, score))

    def close(self) -> None:
        """Show and write what is queued, and close the file or connection. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        try:
            self._jobs.put(None, timeout=_END_S)
        except queue.Full:
            pass  # the scene hangs, which the join below detects, too
        self._thread.join(_END_S)
        if self._thread.is_alive():
            _log.warning("the viewer did not end within %g s: what waited for it is lost", _END_S)
        if self.errors or self.left_out:
            _log.warning(
                "viewer: %d frames or events could not be shown, %d were left out as it could not keep up",
                self.errors,
                self.left_out,
            )

    def _show(self, job: Callable[[], None]) -> None:
        if self._closed:
            return
        try:
            self._jobs.put(job, block=self._complete)
        except queue.Full:
            self.left_out += 1

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._try(job)
        self._try(self._scene.close)

    def _try(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # errors of the viewer must not affect the run
            self.errors += 1
            if self.errors == 1:
                _log.warning(
                    "the viewer failed, everything else continues; further errors are only counted: %s", error
                )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
