# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for the person who labels frames, in scripts/own_model_walk.sh.

Takes the labels of recordings that have exact ones, and writes them as CVAT exports "Segmentation mask 1.1".
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from dcfm_ros.bags.reading import open_bag
from dcfm_ros.sources.to_label import ToLabel, read_to_label
from dcfm_ros.stamps import stamp_ns


def labels_of(bag_path: Path, topic: str) -> dict[int, np.ndarray]:
    """Return the labels (H, W) uint8 of a recording by their stamps in ns."""
    found = {}
    with open_bag(bag_path) as bag:
        topics = [one for one in bag.topics if one.name == topic]
        for one, _, raw in bag.messages(topics):
            message = bag.decode(one, raw)
            label = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
            found[stamp_ns(message.header.stamp)] = label.copy()
    return found


def files(to_label: ToLabel, bags: list[Path], topic: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of the export."""
    colors = np.zeros((256, 3), np.uint8)
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    for number, (name, color) in enumerate(to_label.classes):
        colors[number] = color
        lines.append(f"{name}:{','.join(map(str, color))}::")
    yield "labelmap.txt", "\n".join(lines).encode()
    by_recording = {bag.name: labels_of(bag, topic) for bag in bags}
    for frame in to_label.frames:
        picture = io.BytesIO()
        Image.fromarray(colors[by_recording[frame.recording][frame.stamp_ns]]).save(picture, "PNG")
        for folder in ("SegmentationClass", "SegmentationObject"):
            yield f"{folder}/{frame.name}.png", picture.getvalue()
    names = "\n".join(frame.name for frame in to_label.frames)
    yield "ImageSets/Segmentation/default.txt", names.encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("to_label", type=Path, help="folder that dcfm bag frames wrote")
    parser.add_argument("bags", type=Path, nargs="+", help="its recordings, with labels")
    parser.add_argument("--topic", default="/camera/label", help="topic of the labels")
    parser.add_argument("--out", type=Path, required=True, help="zip to write")
    given = parser.parse_args()
    with zipfile.ZipFile(given.out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files(read_to_label(given.to_label), given.bags, given.topic):
            archive.writestr(name, content)


if __name__ == "__main__":
    main()
