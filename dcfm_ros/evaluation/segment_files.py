# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm segment`: a video file or a folder of images through the live node's segmenter, without ROS."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
from tqdm import tqdm

from dcfm_ros.evaluation.options import SegmentOptions
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.model.stored import StoredModel
from dcfm_ros.pipeline.frames import Frame, Segmentation
from dcfm_ros.pipeline.overlay import blend
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Mode, PipelineConfig
from dcfm_ros.plain_files import read_json
from dcfm_ros.reports.png import write_png
from dcfm_ros.reports.video_writer import VideoWriter
from dcfm_ros.result_folder import result_folder
from dcfm_ros.rounding import rounded
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.open import VideoSource, in_classes, open_source

MASKS, VIDEO, REPORT = "masks", "overlay.mp4", "report.json"  # in the folder of results
_COMMAND = "segment"  # in the report


def segment(options: SegmentOptions) -> dict:
    """Write a mask for each frame, `overlay.mp4` and `report.json`, in place of those of an earlier run.
    Returns the report: counts and, where there are labels, IoUs.

    Masks are `masks/<name>.png`, class ids, of the class map where there is one. The name is that of the
    image, in a video the number of the frame.
    """
    source = open_source(options.source, labels=options.labels, rate_hz=options.rate_hz)
    out = Path(options.out)
    _check_place(out)
    with result_folder(out, (MASKS, VIDEO, REPORT)) as folder:
        return _segment(options, source, folder)


def _check_place(out: Path) -> None:
    """Raise FileExistsError if masks lie there that this command has not written: they may be labels, made by
    hand."""
    masks = out / MASKS
    if masks.is_dir() and any(masks.iterdir()) and not _is_ours(out / REPORT):
        raise FileExistsError(
            f"{masks} has files in it that were not written by `dcfm segment`, or by an older version: move "
            "them away, or give another folder with --out"
        )


def _is_ours(report: Path) -> bool:
    try:
        found = read_json(report)
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("command") == _COMMAND


def _segment(options: SegmentOptions, source: VideoSource, out: Path) -> dict:
    """Write everything into the empty folder `out`."""
    model = StoredModel(options.model)
    (out / MASKS).mkdir()
    if Path(options.source).is_dir() and source.length is not None and source.length > 1:
        print(
            f"{options.source}: its {source.length} images are taken as consecutive frames of one video, in "
            "order of their names",
            file=sys.stderr,
        )
    keyframes: list[int] = []
    segmenter = Segmenter.of(
        model,
        options.backend,
        config=PipelineConfig(mode=Mode(options.mode)),
        precision=options.precision,
        class_map=options.class_map,
        on_keyframe=lambda event: keyframes.append(event.index),
    )
    mapped = segmenter.class_map
    assert mapped is not None  # `Segmenter.of` sets it
    matrix, labelled = ConfusionMatrix(len(mapped.classes)), 0
    count = source.length or options.frames
    with_labels = in_classes(source, model.config.class_names)
    comparable, source = with_labels is not None, with_labels or source
    try:
        with VideoWriter(out / VIDEO, source.width, source.height, source.rate_hz) as video:

            def finish(result: Segmentation) -> None:
                nonlocal labelled
                truth = result.frame.context  # the source's frame: it carries the label through the pipeline
                write_png(out / MASKS / _mask_name(truth), result.mask)
                picture = blend(truth.image, result.mask, mapped.colors, 0.55)
                video.add(cv2.resize(picture, (source.width, source.height)))
                if truth.label is not None and comparable:
                    labelled += 1
                    matrix.add(mapped.indices_of_published(result.mask), mapped.indices(truth.label))

            for index in tqdm(range(count), unit="frame", disable=None):
                truth = source.frame(index)
                for result in segmenter.process(Frame("", truth.stamp_ns, truth.image, context=truth)):
                    finish(result)
            for result in segmenter.flush():
                finish(result)
    finally:
        segmenter.stop()
    report: dict = {
        "command": _COMMAND,
        "frames": count,
        "keyframes": len(keyframes),
        "labelled_frames": labelled,
    }
    if not comparable:
        report["no_iou"] = "the source is labelled with other classes than the model's"
    if matrix.counts.any():
        report["miou"] = round(matrix.miou, 4)
        report["per_class_iou"] = {
            c.name: rounded(value, 4) for c, value in zip(mapped.classes, matrix.iou())
        }
    (out / REPORT).write_text(json.dumps(report, indent=2) + "\n")
    return report


def _mask_name(frame: VideoFrame) -> str:
    return f"{frame.name or f'{frame.index:06d}'}.png"
