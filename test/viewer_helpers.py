# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading what the viewer has written, with the library's own reader."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

chunk = pytest.importorskip(
    "rerun.chunk", reason="rerun-sdk is not installed (there is none for Python 3.10)"
)


class Recorded:
    """An .rrd file. Values come by the entity and the component that they were logged as."""

    def __init__(self, path: Path):
        self._reader = chunk.RrdReader(str(path))
        self._chunks = self._reader.stream().to_chunks()

    @property
    def recordings(self) -> int:
        return len(self._reader.recordings())

    @property
    def blueprints(self) -> int:
        return len(self._reader.blueprints())

    @property
    def entities(self) -> set[str]:
        return {part.entity_path for part in self._chunks if not part.entity_path.startswith("/__")}

    def at_stamps(self, entity: str, component: str) -> dict[int, list]:
        """{stamp in ns: value}, in order of time; equal stamps must not occur."""
        found = []
        for part in self._chunks:
            if part.entity_path == entity and not part.is_static:
                batch = part.to_record_batch()
                if component in batch.schema.names:
                    assert part.timeline_names == ["stamp"]
                    found += zip(
                        batch.column("stamp").cast(pa.int64()).to_pylist(),
                        batch.column(component).to_pylist(),
                    )
        assert len({stamp for stamp, _ in found}) == len(found)
        return dict(sorted((stamp, value) for stamp, value in found if value is not None))

    def scalars(self, entity: str) -> dict[int, float]:
        return {stamp: value for stamp, (value,) in self.at_stamps(entity, "Scalars:scalars").items()}

    def masks(self, entity: str) -> dict[int, np.ndarray]:
        """(H, W) uint8 by stamp."""
        formats = self.at_stamps(entity, "SegmentationImage:format")
        return {
            stamp: np.array(buffer, np.uint8).reshape(formats[stamp][0]["height"], formats[stamp][0]["width"])
            for stamp, (buffer,) in self.at_stamps(entity, "SegmentationImage:buffer").items()
        }

    def images(self, entity: str) -> dict[int, np.ndarray]:
        """(H, W, 3) uint8 RGB by stamp; of JPEGs."""
        return {
            stamp: cv2.imdecode(np.array(blob, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            for stamp, (blob,) in self.at_stamps(entity, "EncodedImage:blob").items()
        }

    def texts(self, entity: str) -> dict[int, str]:
        return {stamp: text for stamp, (text,) in self.at_stamps(entity, "TextLog:text").items()}

    def classes(self) -> dict[int, tuple[str, int]]:
        """{id: (name, colour as 0xRRGGBBAA)}"""
        (part,) = [part for part in self._chunks if part.entity_path == "/" and part.is_static]
        infos = [
            entry["class_description"]["info"]
            for entry in part.to_record_batch().column("AnnotationContext:context").to_pylist()[0][0]
        ]
        return {info["id"]: (info["label"], info["color"]) for info in infos}
