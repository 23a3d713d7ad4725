# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows a pass over a recording in the viewer while it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dcfm_ros.bags.options import ReplayOptions
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation
from dcfm_ros.viewer.viewer import Viewer, open_viewer


class ViewerSink:
    """Sends masks to the viewer, if the options name one; use it in a `with` statement."""

    def __init__(self, options: ReplayOptions, classes: Sequence[ClassSpec]):
        self._threshold = options.config.scheduler.threshold
        self._viewer: Viewer | None = open_viewer(options.viewer) if options.viewer else None
        if self._viewer is not None:
            self._viewer.classes([(number, c.name, c.color) for number, c in enumerate(classes)])

    def add(
        self, result: Segmentation, event: KeyframeEvent | None, reference: np.ndarray | None = None
    ) -> None:
        """Show a mask, with the event if it is a keyframe, and with the mask of the run in which every frame
        is a keyframe."""
        if self._viewer is None:
            return
        frame = result.frame
        self._viewer.frame(
            frame.camera,
            frame.stamp_ns,
            frame.rgb(),
            result.mask,
            result.score,
            self._threshold,
            result.is_keyframe,
            result.feature_age_frames,
            reference,
        )
        if event is not None:
            self._viewer.keyframe(frame.camera, frame.stamp_ns, event.reason.value, event.score)

    def __enter__(self) -> ViewerSink:
        return self

    def __exit__(self, *_) -> None:
        if self._viewer is not None:
            self._viewer.close()
