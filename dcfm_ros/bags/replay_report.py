# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The visual part of an evaluation: the HTML page with timeline, worst moments and video, and the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from dcfm_ros.bags.options import BagEvaluateOptions
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topics import CameraTopic
from dcfm_ros.bags.viewer_sink import ViewerSink
from dcfm_ros.bags.writing import write_errors_for
from dcfm_ros.evaluation.schedule import PER_FRAME
from dcfm_ros.evaluation.tally import DCFM, EVERY_FRAME
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.model.class_map import ClassMap
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation
from dcfm_ros.reports.page.data import TimelinePoint
from dcfm_ros.reports.page.moments import LARGEST_FLICKER, LOWEST_IOU, OLDEST_FEATURE, WorstMoments
from dcfm_ros.reports.page.page import write_page
from dcfm_ros.reports.page.pictures import side_by_side
from dcfm_ros.reports.video_writer import VideoWriter
from dcfm_ros.rounding import rounded
from dcfm_ros.stamps import NS_PER_S

_PAGE, _VIDEO = "report.html", "side_by_side.mp4"


class ReplayReport:
    """Collects pictures and figures while masks are produced; use it in a `with` statement.

    Memory is bounded except for one timeline point per mask. The video shows the first camera from the start
    of the recording. Does nothing if neither page nor viewer was requested.
    """

    def __init__(
        self,
        options: BagEvaluateOptions,
        bag: Bag,
        cameras: Sequence[CameraTopic],
        config: ModelConfig,
        out: Path,
    ):
        self._options, self._bag, self._cameras, self._out = options, bag, cameras, out
        self._classes = [(c.name, c.color) for c in config.classes]
        self._table = ClassMap.of_model(config.classes).colors
        self._title = EVERY_FRAME if config.architecture == PER_FRAME else DCFM
        self._timeline: list[TimelinePoint] = []
        self._moments = WorstMoments()
        self._video: VideoWriter | None = None
        self._video_times_s: list[float] = []  # time of each frame of the video
        self._stack = ExitStack()
        for name in (_PAGE, _VIDEO):
            (out / name).unlink(missing_ok=True)  # left by an earlier evaluation
        self._viewer = self._stack.enter_context(ViewerSink(options, config.classes))

    def add(
        self,
        result: Segmentation,
        event: KeyframeEvent | None,
        reference: np.ndarray | None,
        label: np.ndarray | None,
        flicker: float | None,
        counts: ConfusionMatrix | None,
    ) -> None:
        """Add the next mask, with what the evaluation measured for it."""
        frame = result.frame
        self._viewer.add(result, event, reference)
        if not self._options.page:
            return
        time_s = (frame.context.log_ns - self._bag.start_ns) / NS_PER_S
        miou = rounded(counts.miou) if counts is not None else None
        self._timeline.append(
            TimelinePoint(
                frame.camera,
                frame.stamp_ns,
                time_s,
                result.score,
                result.is_keyframe,
                event.reason.value if event else None,
                result.feature_age_frames,
                result.feature_age_s,
                result.latency_ms,
                flicker,
                miou,
            )
        )

        @cache  # shared by several kinds of moments and the video
        def picture() -> np.ndarray:
            masks: list[tuple[str, np.ndarray | None]] = [(self._title, result.mask)]
            masks += [(EVERY_FRAME, reference)] if reference is not None else []
            # also for a frame without a label: all pictures have the same panels
            masks += [("label", label)] if self._options.labels else []
            return side_by_side(frame.rgb(), masks, self._table)

        for kind, value in (
            (LOWEST_IOU, miou),
            (LARGEST_FLICKER, flicker or None),
            (OLDEST_FEATURE, result.feature_age_s or None),
        ):
            if value is not None:
                self._moments.offer(kind, frame.camera, frame.stamp_ns, time_s, value, picture)
        if frame.camera == self._cameras[0].name and time_s < self._options.video_s:
            with write_errors_for(self._out):
                self._add_to_video(picture())
            self._video_times_s.append(time_s)

    def write(self, report: dict) -> None:
        """Write the page from all that was collected."""
        if not self._options.page:
            return
        with write_errors_for(self._out):
            if self._video is not None:
                self._video.close()
            write_page(
                self._out / _PAGE,
                report,
                self._timeline,
                self._moments.moments(),
                self._classes,
                self._video.path if self._video else None,
                self._video_times_s,
            )

    def _add_to_video(self, picture: np.ndarray) -> None:
        if self._video is None:
            topic = self._cameras[0].topic
            span_s = (self._bag.end_ns - self._bag.start_ns) / NS_PER_S
            rate_hz = (topic.count - 1) / span_s if topic.count > 1 and span_s > 0 else 15.0
            height, width = picture.shape[:2]
            self._video = self._stack.enter_context(
                VideoWriter(self._out / _VIDEO, width, height, min(max(rate_hz, 1.0), 120.0))
            )
        size = self._video.width, self._video.height
        self._video.add(picture if picture.shape[1::-1] == size else cv2.resize(picture, size))

    def __enter__(self) -> ReplayReport:
        return self

    def __exit__(self, *error) -> None:
        with write_errors_for(self._out):  # on a full disk, closing the video fails once more
            self._stack.__exit__(*error)
