# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of `dcfm bag segment` share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from bags_helpers import read_bag

from dcfm_ros.bags.options import BagSegmentOptions
from dcfm_ros.bags.segment import segment_bag

FRAMES, PART = 24, 17  # of each camera; images in a part of the output
CAMERAS = ("/front/image_raw", "/rear/image_raw")
CORRUPT = (0, 5, 12, 13, 20)
MEASURED = ("preprocess_s", "motion_s", "shallow_s", "postprocess_s", "latency_s", "queue_s", "encode_s")


def segment(
    bag: Path, out: Path, model: Path, on_frame=lambda: None, on_start=lambda images: None, **changes
) -> dict:
    options = {"backend": "torch", "precision": "f32", "part_images": PART, **changes}
    return segment_bag(BagSegmentOptions(str(bag), str(out), model=str(model), **options), on_frame, on_start)


def content(out: Path) -> dict[str, list]:
    """Everything in a recording but for what times were measured: (log time, message in plain values) by
    topic."""
    return {
        topic: [(log_ns, plain(message)) for log_ns, message in messages]
        for topic, messages in read_bag(out).items()
    }


def plain(value):
    """A message as values that can be compared; measured times are left out."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.name not in MEASURED and not field.name.startswith("_")
        }
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tobytes()
    return [plain(one) for one in value] if isinstance(value, list) else value


def stop_at(count: int, error: type[BaseException] = KeyboardInterrupt):
    """A function that raises an error when it is called for the count-th time."""
    calls = iter(range(count - 1))

    def call(*_):
        if next(calls, None) is None:
            raise error("stopped")

    return call
