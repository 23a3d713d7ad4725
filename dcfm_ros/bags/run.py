# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates a recording: every mask is counted as soon as it is produced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.labels import Labels, open_labels
from dcfm_ros.bags.options import BagEvaluateOptions
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.replay import Replay, Skipped, check_images
from dcfm_ros.bags.replay_report import ReplayReport
from dcfm_ros.bags.topics import CameraTopic
from dcfm_ros.evaluation.read_ahead import ahead
from dcfm_ros.evaluation.schedule import CAUSAL, PER_FRAME, TWO_SIDED, Schedule
from dcfm_ros.evaluation.tally import DCFM, EVERY_FRAME, CameraTally, Tally
from dcfm_ros.model.stored import AnyModel
from dcfm_ros.pipeline.frames import InputError, KeyframeEvent, Segmentation
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Alignment, Mode, PipelineConfig, SchedulerConfig
from dcfm_ros.stamps import stamp_text

STAGES = ("preprocess", "motion", "shallow", "postprocess", "latency", "encode")
_AHEAD = 4  # masks waiting to be counted


class _Masks(NamedTuple):
    """A frame's result, and its mask from the run in which every frame is a keyframe."""

    result: Segmentation
    reference: np.ndarray | None


@dataclass
class LabelRecord:
    """Statistics of one camera's labels."""

    used: int = 0
    refused: int = 0
    example: str = ""  # error of the first refused label


class EvaluationRun:
    """One evaluation; use it in a `with` statement. The segmenter runs on its own thread, so that counting
    hardly slows it down."""

    def __init__(
        self, options: BagEvaluateOptions, bag: Bag, cameras: list[CameraTopic], model: AnyModel, out: Path
    ):
        self.bag, self.cameras = bag, cameras
        self.labels: dict[str, Labels] = open_labels(bag, cameras, options.labels, model.config.class_names)
        self.label_records = {camera.name: LabelRecord() for camera in cameras}
        # by camera and index, until their mask arrives
        self._events: dict[tuple[str, int], KeyframeEvent] = {}
        self.times: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._began_s = self._ended_s = 0.0
        self._stack = ExitStack()
        per_frame_model = model.config.architecture == PER_FRAME
        schedule = (
            Schedule(PER_FRAME, interval=1)
            if per_frame_model
            else Schedule(
                TWO_SIDED if options.mode == Mode.TWO_SIDED.value else CAUSAL,
                threshold=options.config.scheduler.threshold,
                alignment=options.alignment,
            )
        )
        self._is_dcfm = not per_frame_model  # a per-frame network has no older feature to align
        classes = len(model.config.classes)
        self.tallies = [Tally(EVERY_FRAME if per_frame_model else DCFM, schedule, classes)]
        self._reference: Segmenter | None = None
        self._failure: Exception | None = None  # of the per-frame run's deep network
        if options.per_frame and not per_frame_model:
            self.tallies.append(Tally(EVERY_FRAME, Schedule(PER_FRAME, interval=1), classes))
        self._camera_tallies = {
            camera.name: [CameraTally(tally) for tally in self.tallies] for camera in cameras
        }
        try:
            self.replay = self._stack.enter_context(
                Replay(
                    bag, cameras, model, options.backend, options.precision, options.config, self._on_keyframe
                )
            )
            if len(self.tallies) == 2:
                self._reference = Segmenter.of(
                    model,
                    options.backend,
                    config=PipelineConfig(
                        Mode.SYNC, SchedulerConfig(min_interval=1, max_interval=1), alignment=Alignment.NONE
                    ),
                    precision=options.precision,
                    on_error=self._reference_failed,
                )
                self._stack.callback(self._reference.stop)
            self.page = self._stack.enter_context(ReplayReport(options, bag, cameras, model.config, out))
        except BaseException:
            self._stack.close()
            raise

    def run(self, on_frame: Callable[[], object]) -> None:
        """Segment and count all images."""
        with closing(ahead(self._masks(), _AHEAD)) as masks:
            for item in masks:
                if isinstance(item, _Masks):
                    self._count(item)
                on_frame()
        check_images(self.bag, self.replay)

    def _masks(self) -> Iterator[_Masks | Skipped]:
        for item in self.replay.run():
            if isinstance(item, Skipped):
                yield item
                continue
            self._ended_s = time.perf_counter()
            self._began_s = self._began_s or self._ended_s
            reference = (
                None if self._reference is None else self._reference_mask(self._reference, result=item)
            )
            yield _Masks(item, reference)

    def _reference_mask(self, reference: Segmenter, result: Segmentation) -> np.ndarray:
        masks = reference.process(result.frame)
        if self._failure is not None:
            raise RuntimeError(
                f"no mask in the per-frame run of {self.bag.path}: {self._failure}"
            ) from self._failure
        return masks[0].mask

    def _reference_failed(self, camera: str, error: Exception) -> None:
        self._failure = error

    @property
    def span_s(self) -> float:
        """Seconds from the first mask to the last."""
        return self._ended_s - self._began_s

    def _count(self, item: _Masks) -> None:
        result, resets = item.result, item.result.frame.context.resets
        camera, image = result.frame.camera, result.frame.image
        main, *others = self._camera_tallies[camera]
        label = self._label(result)
        event = self._events.pop((camera, result.index), None)
        if event is not None:
            self.tallies[0].keyframe(event.reason.value, event.interval_frames)
            self.times["encode"].append(event.encode_ms)
        try:
            flicker, counts = main.add(
                image,
                result.mask,
                label,
                resets,
                result.is_keyframe,
                result.feature_age_frames,
                result.frame.stamp_ns - result.feature_stamp_ns,
            )
        except ValueError as error:
            raise BagError(
                f"{self.bag.path}: label at {stamp_text(result.frame.stamp_ns)}: {error}"
            ) from error
        if self._is_dcfm:
            self.tallies[0].moved(result.alignment.value, result.motion_px)
        for tally in others:
            assert item.reference is not None  # the others are of the reference
            tally.add(image, item.reference, label, resets, True, 0, 0)
            self.tallies[0].compare(result.mask, item.reference)
        for stage in STAGES[:-1]:
            if stage != "motion" or self._is_dcfm:
                self.times[stage].append(getattr(result, f"{stage}_ms"))
        self.page.add(result, event, item.reference, label, flicker, counts)

    def _label(self, result: Segmentation) -> np.ndarray | None:
        """Return the label of the result's image, if there is one. A label that cannot be used is counted and
        ignored."""
        labels, record = self.labels.get(result.frame.camera), self.label_records[result.frame.camera]
        if labels is None:
            return None
        try:
            label = labels.take(result.frame.stamp_ns, result.mask.shape)
        except InputError as error:
            record.refused += 1
            record.example = record.example or str(error)
            return None
        record.used += label is not None
        return label

    def _on_keyframe(self, event: KeyframeEvent) -> None:
        self._events[event.frame.camera, event.index] = event

    def __enter__(self) -> EvaluationRun:
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)
