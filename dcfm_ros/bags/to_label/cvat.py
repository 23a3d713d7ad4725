# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that CVAT imports: the images of a task, its labels, and the model's masks as annotations in the
format "Segmentation mask 1.1"."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import cv2
import numpy as np
from PIL import Image

from dcfm_ros.pipeline.overlay import coloured_mask
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.read import read_label
from dcfm_ros.sources.to_label import LabelFrame

IMAGES, PRELABELS, LABELS = "cvat_images.zip", "cvat_prelabels.zip", "cvat_labels.json"
_EMPTY = ("background", "unlabelled", "unlabelled_pixels")  # the first that no class is called


def write_cvat(folder: Path, frames: Sequence[LabelFrame], table: ClassTable, colors: np.ndarray) -> None:
    """Write the three files. colors: (256, 3) uint8 RGB, of each label value"""
    labels = [{"name": name, "color": "#" + "".join(f"{v:02x}" for v in color)} for name, color in table]
    (folder / LABELS).write_text(json.dumps(labels, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with ZipFile(folder / IMAGES, "w", ZIP_STORED) as images:  # they are compressed already
        for frame in frames:
            _add(images, Path(frame.image).name, (folder / frame.image).read_bytes())
    with ZipFile(folder / PRELABELS, "w", ZIP_STORED) as masks:
        _add(masks, "labelmap.txt", _label_map(table).encode())
        names = "".join(f"{frame.name}\n" for frame in frames)
        _add(masks, "ImageSets/Segmentation/default.txt", names.encode())
        for frame in frames:
            mask = read_label(folder / frame.prelabel, (frame.height, frame.width))
            bgr = cv2.cvtColor(coloured_mask(mask, colors), cv2.COLOR_RGB2BGR)
            _add(masks, f"SegmentationClass/{frame.name}.png", cv2.imencode(".png", bgr)[1].tobytes())
            _add(masks, f"SegmentationObject/{frame.name}.png", _objects(mask))


def _label_map(table: ClassTable) -> str:
    """Return name:colour:parts:actions of each class, and first of what has none."""
    names = {name for name, _ in table}
    empty = next(name for name in _EMPTY if name not in names)
    lines = [(empty, (0, 0, 0)), *table]
    return "# label:color_rgb:parts:actions\n" + "".join(
        f"{name}:{red},{green},{blue}::\n" for name, (red, green, blue) in lines
    )


def _objects(mask: np.ndarray) -> bytes:
    """Return a picture of objects, of which each class is one: number 1 for label value 0, 0 for none. Where
    there are objects, CVAT makes a shape of each, and none of pixels without an object."""
    picture = Image.fromarray(mask + np.uint8(1))  # 255, no class, becomes 0
    picture.putpalette(_voc_colors().reshape(-1).tolist())
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def _voc_colors() -> np.ndarray:
    """Return PASCAL VOC's colour of each object number, (256, 3) uint8: its bits, spread over the channels
    from the highest on."""
    numbers = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for place in range(8):
        for channel in range(3):
            colors[:, channel] |= ((numbers >> channel & 1) << (7 - place)).astype(np.uint8)
        numbers >>= 3
    return colors


def _add(archive: ZipFile, name: str, data: bytes) -> None:
    """Without the time of writing, so that equal content is an equal file."""
    info = ZipInfo(name)
    info.external_attr = 0o644 << 16  # permissions
    archive.writestr(info, data)
