# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm export`: its arguments, and what it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcfm_ros.pipeline.export.options import INT8, ExportOptions

if TYPE_CHECKING:
    import numpy as np

SETTINGS = (ExportOptions,)


def run(options: ExportOptions) -> None:
    if options.precision == INT8:
        from dcfm_ros.pipeline.export.int8 import export_int8, needed_frames

        print(export_int8(options, _images(options.calibrate, needed_frames(options))))
        return
    from dcfm_ros.pipeline.export.export import export

    print(export(options))


def _images(name: str, count: int) -> list[np.ndarray]:
    """Read up to `count` images (H, W, 3) uint8 RGB of a source, evenly spaced; of an endless one, one a
    second."""
    from tqdm import tqdm

    from dcfm_ros.sources.open import open_source

    source = open_source(name)
    if source.length is None:
        indices = [round(number * source.rate_hz) for number in range(count)]
    else:
        count = min(count, source.length)
        indices = [number * source.length // count for number in range(count)]
    return [
        source.frame(index).image for index in tqdm(indices, "reading images", unit="frame", disable=None)
    ]
