# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the camera node plays a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.bags.names import METADATA_FILE, stands_for, storage_stem

_CAMERA = "{camera}"


def is_recording(source: str) -> bool:
    """Is the camera's source a recording, rather than images or a video? By names alone; opening it tells if
    it is whole. ValueError where it cannot be looked at."""
    try:
        path = stands_for(Path(source))
        if not path.is_dir():
            return _is_recording(path)
        return (path / METADATA_FILE).is_file() or any(map(_is_recording, path.iterdir()))
    except OSError as error:
        raise ValueError(
            f"source {source} cannot be read: {error.strerror}; get access to it, or give another"
        ) from error


def _is_recording(file: Path) -> bool:
    return bool(storage_stem(file.name)) or file.suffix.lower() == ".bag"  # that of ROS 1, which is refused


@dataclass(frozen=True)
class PlayOptions:
    """Of a recording; names as those of the node's parameters."""

    source: str = ""
    image_topic: str = ""  # of the only camera; the recorded names where empty
    loop: bool = True
    frames: int = 0  # images before the end; 0: all
    topics: tuple[str, ...] = ()  # of cameras; () for all that look like one
    speed: float = 1.0  # of the recording's time
    lockstep: bool = False  # send an image when the mask of the one before has come
    mask_topic: str = (
        ""  # of a camera, in which {camera} stands for its name; dcfm/[{camera}/]mask where empty
    )
    mask_timeout: float = 60.0  # s; until the next image is sent all the same
    clock: bool = True  # publish /clock

    def image_topics(self, recorded: Sequence[str], compressed: bool) -> list[str]:
        """Where the images of each camera go. compressed: are they of the only camera? `image_topic` then has
        the ending."""
        if not self.image_topic:
            return list(recorded)
        if len(recorded) > 1:
            raise ValueError(
                f"image_topic {self.image_topic} is for one camera, and {self.source} has {len(recorded)}, "
                f"{', '.join(recorded)}: choose one with `topics`, or leave image_topic out"
            )
        return [
            f"{self.image_topic.removesuffix('/compressed')}/compressed" if compressed else self.image_topic
        ]

    def mask_topics(self, cameras: Sequence[str]) -> list[str]:
        """Where the masks of each camera come from."""
        default = (
            "dcfm/mask" if len(cameras) == 1 else f"dcfm/{_CAMERA}/mask"
        )  # of a segmenter in the same namespace
        pattern = self.mask_topic or default
        if len(cameras) > 1 and _CAMERA not in pattern:
            raise ValueError(
                f"mask_topic {pattern} is for one camera, and {self.source} has {', '.join(cameras)}: write "
                f"{_CAMERA} where the camera's name belongs, as in {default}"
            )
        return [pattern.replace(_CAMERA, camera) for camera in cameras]
