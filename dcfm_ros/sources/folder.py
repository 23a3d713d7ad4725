# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images as a video, with labels if there are any."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.clips.classes_file import classes_of_labels
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.listing import files_in, images_in
from dcfm_ros.sources.read import IMAGE_ENDINGS, is_animated, read_image, read_label
from dcfm_ros.sources.source_kinds import DEFAULT_RATE_HZ, SourceRequest
from dcfm_ros.stamps import NS_PER_S


def recognises(name: str) -> bool:
    """Return whether this source opens the name; used by the table of sources."""
    path = Path(name)
    return path.is_dir() or (path.suffix.lower() in IMAGE_ENDINGS and not is_animated(path))


def open_video(request: SourceRequest) -> ImageFolder:
    return ImageFolder(request.name, request.labels, request.rate_hz or DEFAULT_RATE_HZ)


class ImageFolder:
    """The images of a folder in natural order of their names (frame2 before frame10).

    folder: contains the images, or `images/` and optionally `labels/`; or is itself an image
    labels: folder of `<image stem>.png`; frames without such a file have no label. Default: `labels/` beside
        `images/`, if it exists. What they mean says the `classes.yaml` that belongs to them; without one they
        are single-channel 8-bit class ids, 255 = void, and there is no class table
    rate_hz: nominal frames per second

    Frames have the size that an image viewer shows; `width` and `height` are those of the first. Their names
    are those of the files, without their endings unless two differ in that alone.
    """

    def __init__(self, folder: str | Path, labels: str | Path | None, rate_hz: float):
        folder = Path(folder)
        if not folder.exists():
            raise SourceError(f"{folder} is not a folder; give a folder of images, or an image")
        if (folder / "images").is_dir():
            if labels is None and (folder / "labels").is_dir():
                labels = folder / "labels"
            folder = folder / "images"
        self._images = [folder / name for name in images_in(folder)] if folder.is_dir() else [folder]
        stems = [path.stem for path in self._images]
        self._names = stems if len(set(stems)) == len(stems) else [path.name for path in self._images]
        self._labels = {} if labels is None else self._labels_in(Path(labels))
        about = None if labels is None else classes_of_labels(Path(labels))
        self._values = None if about is None else about.values
        self.class_table: ClassTable | None = None if about is None else about.table
        self.rate_hz, self.length = float(rate_hz), len(self._images)
        self.height, self.width = read_image(self._images[0]).shape[:2]

    def frame(self, index: int) -> VideoFrame:
        """Return frame number `index`: image (H, W, 3) uint8 RGB and label (H, W) uint8 or None."""
        if not 0 <= index < self.length:
            raise SourceError(f"there is no frame {index}; the folder has {self.length}, counted from 0")
        path = self._images[index]
        image, label = read_image(path), None
        if path.stem in self._labels:
            label = read_label(self._labels[path.stem], image.shape[:2], image=path, values=self._values)
        stamp_ns = round(index * NS_PER_S / self.rate_hz)
        return VideoFrame(index, stamp_ns, image, label, is_cut=False, name=self._names[index])

    def _labels_in(self, folder: Path) -> dict[str, Path]:
        """Return the label files by the stem of their image."""
        labels = {Path(name).stem: folder / name for name in files_in(folder, [".png"])}
        stems = Counter(image.stem for image in self._images)
        if not labels.keys() & stems:
            raise SourceError(
                f"no image in {self._images[0].parent} has a label in {folder}; "
                f"expected, for example, {self._images[0].stem}.png"
            )
        if shared := [stem for stem in labels if stems[stem] > 1]:
            raise SourceError(
                f"{self._images[0].parent} has several images named {shared[0]}; rename them, since they "
                "share a label"
            )
        return labels
