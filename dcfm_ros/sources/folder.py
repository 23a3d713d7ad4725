# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images as a video, with labels where there are some."""
from __future__ import annotations

from pathlib import Path

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.read import IMAGE_ENDINGS, natural_key, read_image, read_label


class ImageFolder:
    """The images of a folder in natural order of their names (frame2 before frame10).

    folder: holds the images, or `images/` and perhaps `labels/`
    labels: folder of `<image stem>.png`, single-channel class ids of 8 bits, 255 = void; frames without such a file
        have no label. By default the `labels/` beside `images/`, if there is one
    rate_hz: frames per second that the images are taken to have

    Frames keep the size of their files; `width` and `height` are those of the first.
    """

    class_table = None   # label files hold bare numbers

    def __init__(self, folder: str | Path, labels: str | Path | None, rate_hz: float):
        folder = Path(folder)
        if not folder.is_dir():
            raise SourceError(f"{folder} is not a folder; give a folder of images")
        if (folder / "images").is_dir():
            if labels is None and (folder / "labels").is_dir():
                labels = folder / "labels"
            folder = folder / "images"
        self._images = sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_ENDINGS),
                              key=lambda path: natural_key(path.name))
        if not self._images:
            raise SourceError(f"there are no images in {folder}; expected files ending in {', '.join(IMAGE_ENDINGS)}")
        self._labels = None if labels is None else Path(labels)
        if self._labels is not None and not any(self._label_path(image).is_file() for image in self._images):
            raise SourceError(f"no image in {folder} has a label in {labels}; "
                              f"expected, for example, {self._label_path(self._images[0]).name}")
        self.rate_hz, self.length = float(rate_hz), len(self._images)
        self.height, self.width = read_image(self._images[0]).shape[:2]

    def frame(self, index: int) -> VideoFrame:
        """Frame number `index`: image (H, W, 3) uint8 RGB and label (H, W) uint8 or None."""
        if not 0 <= index < self.length:
            raise SourceError(f"there is no frame {index}; the folder has {self.length}, counted from 0")
        path = self._images[index]
        image, label = read_image(path), None
        if self._labels is not None and self._label_path(path).is_file():
            label = read_label(self._label_path(path), image.shape[:2])
        return VideoFrame(index, round(index * 1e9 / self.rate_hz), image, label, is_cut=False)

    def _label_path(self, image: Path) -> Path:
        return self._labels / f"{image.stem}.png"
