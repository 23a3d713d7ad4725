# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The second pass over a recording: chosen frames with the frames around them, as encoded images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.footage import DAMAGED, Footage, Shot
from dcfm_ros.evaluation.read_ahead import ahead
from dcfm_ros.stamps import NS_PER_S

GAP_NS = NS_PER_S // 2  # frames further apart are no neighbours
_AHEAD = 4
_QUALITY = 95  # of JPEG


class Encoded(NamedTuple):
    """A frame of a clip."""

    data: bytes
    size: tuple[int, int]  # (height, width)
    time_ns: int


@dataclass
class ChosenClip:
    """A chosen frame and the unbroken run of frames around it. position: of the chosen one in `frames`"""

    camera: str
    index: int
    image: np.ndarray | None = None  # (H, W, 3) uint8 RGB of the chosen frame
    around: dict[int, Encoded] = field(default_factory=dict)  # by index
    frames: list[Encoded] = field(default_factory=list)
    position: int = 0

    def close(self) -> None:
        """Take the frames that follow each other without a gap, in one size."""
        first = last = self.index
        while self._follow(first - 1, first):
            first -= 1
        while self._follow(last, last + 1):
            last += 1
        self.frames = [self.around[index] for index in range(first, last + 1)]
        self.position = self.index - first
        self.around = {}

    def _follow(self, index: int, after: int) -> bool:
        one, other = self.around.get(index), self.around.get(after)
        if one is None or other is None or one.size != other.size:
            return False
        return 0 < other.time_ns - one.time_ns <= GAP_NS


def read_clips(
    footage: Footage,
    chosen: Collection[tuple[str, int]],
    neighbours: int,
    ending: str,
    on_images: Callable[[int], object],
) -> Generator[ChosenClip]:
    """Yield a clip for each chosen (camera, index), when the frames after it have been read.

    neighbours: frames before and after, at most
    ending: jpg or png
    on_images: called with the number of images that have gone by
    """
    clips = {key: ChosenClip(*key) for key in chosen}
    around = range(-neighbours, neighbours + 1)
    passed = 0
    with closing(ahead(_wanted(footage, clips, around), _AHEAD)) as images:
        for number, shot, image in images:
            on_images(number - passed)
            passed = number
            if image is not None:
                encoded = Encoded(encode(image, ending), image.shape[:2], shot.time_ns)
                for key in _keys(shot, around):
                    if key in clips:
                        clips[key].around[shot.index] = encoded
                if (shot.camera, shot.index) in clips:
                    clips[shot.camera, shot.index].image = image
            key = (shot.camera, shot.index - neighbours)
            if key in clips:
                yield _closed(clips.pop(key), footage)
    for clip in clips.values():
        yield _closed(clip, footage)


def encode(image: np.ndarray, ending: str) -> bytes:
    """Return an image (H, W, 3) uint8 RGB as a file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if ending == "jpg" else []
    return cv2.imencode(f".{ending}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _wanted(
    footage: Footage, clips: Collection[tuple[str, int]], around: range
) -> Generator[tuple[int, Shot, np.ndarray | None]]:
    """Yield (number of images so far, shot, its image) for chosen frames and those around them; None for a
    damaged image."""
    wanted = {(camera, index + offset) for camera, index in clips for offset in around}
    try:
        with closing(footage.shots()) as shots:
            for number, shot in enumerate(shots, 1):
                if (shot.camera, shot.index) not in wanted:
                    continue
                try:
                    image = shot.decode()
                except DAMAGED:
                    image = None
                yield number, shot, image
    except OSError as error:  # errors of the system are else taken for those of the output
        raise BagError(f"{footage.path} cannot be read any more ({error}): run the command again") from error


def _keys(shot: Shot, around: range) -> list[tuple[str, int]]:
    return [(shot.camera, shot.index + offset) for offset in around]


def _closed(clip: ChosenClip, footage: Footage) -> ChosenClip:
    if clip.image is None:
        raise BagError(
            f"{footage.path}: image {clip.index} could be read before, and cannot be read now: was the "
            "recording changed meanwhile? Run the command again"
        )
    clip.close()
    return clip
