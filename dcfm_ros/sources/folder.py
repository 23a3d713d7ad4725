"""A folder of images as a video, with labels where there are some."""
from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from .frame import VideoFrame
from .open import SourceError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


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
        self._images = sorted((p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES), key=_natural)
        if not self._images:
            raise SourceError(f"there are no images in {folder}; expected files ending in {', '.join(SUFFIXES)}")
        self._labels = None if labels is None else Path(labels)
        if self._labels is not None and not any(self._label_path(image).is_file() for image in self._images):
            raise SourceError(f"no image in {folder} has a label in {labels}; "
                              f"expected, for example, {self._label_path(self._images[0]).name}")
        self.rate_hz, self.length = float(rate_hz), len(self._images)
        self.height, self.width = _read_image(self._images[0]).shape[:2]

    def frame(self, index: int) -> VideoFrame:
        """Frame number `index`: image (H, W, 3) uint8 RGB and label (H, W) uint8 or None."""
        if not 0 <= index < self.length:
            raise SourceError(f"there is no frame {index}; the folder has {self.length}, counted from 0")
        path = self._images[index]
        image, label = _read_image(path), None
        if self._labels is not None and self._label_path(path).is_file():
            label = _read_label(self._label_path(path), image.shape[:2])
        return VideoFrame(index, round(index * 1e9 / self.rate_hz), image, label, is_cut=False)

    def _label_path(self, image: Path) -> Path:
        return self._labels / f"{image.stem}.png"


def _natural(path):
    """Sort key in which numbers inside a name compare as numbers."""
    parts = re.split(r"(\d+)", path.name)
    # The name itself decides between equals such as a1 and a01, so that the order never depends on the disk.
    return [int(p) if i % 2 else p.lower() for i, p in enumerate(parts)], path.name


def _read_image(path):
    # Labels know nothing of a camera's orientation mark, so pixels are taken as they are stored.
    image = _read(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _read_label(path, size):
    label = _read(path, cv2.IMREAD_UNCHANGED)
    if label.ndim != 2 or label.dtype != np.uint8:
        channels = 1 if label.ndim == 2 else label.shape[2]
        raise SourceError(f"label {path} has {channels} channel(s) of {label.dtype}; "
                          "save class ids as a single-channel 8-bit PNG without palette")
    if label.shape != size:
        raise SourceError(f"label {path} is {label.shape[1]}x{label.shape[0]} but its image {size[1]}x{size[0]}; "
                          "bring both to one size")
    return label


def _read(path, flags):
    try:
        pixels = cv2.imread(str(path), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise SourceError(f"{path} cannot be read as an image; it is damaged or not what its name says")
    return pixels
