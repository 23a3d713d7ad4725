# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of playing a recording with the camera node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.bags.names import METADATA_FILE, recording_path, storage_stem
from dcfm_ros.setting_fields import check, setting
from dcfm_ros.sources.source_kinds import source_forms

_CAMERA = "{camera}"


def is_recording(source: str) -> bool:
    """Return whether the camera's source is a recording, rather than images or a video, by file names only.
    Raises ValueError if the source cannot be accessed."""
    try:
        path = recording_path(Path(source))
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
    """Options of a recording; names are those of the node's parameters."""

    source: str = setting(
        "", f"where images come from: {source_forms()}, or a recording (rosbag2: a folder, .mcap or .db3)"
    )
    image_topic: str = setting(
        "", "where to publish; empty: camera/image_raw in the node's namespace, of a recording its own topics"
    )
    loop: bool = setting(True, "begin again at the end; otherwise stop there")
    frames: int = setting(
        0, "images before the end; 0: all of the source (an endless one has 300)", low=0, high=10_000_000
    )
    topics: tuple[str, ...] = setting((), "of a recording: topics of cameras; none: all that look like one")
    speed: float = setting(1.0, "of a recording: 1.0 as recorded, 2.0 twice as fast", low=0.01, high=1000)
    lockstep: bool = setting(False, "of a recording: send an image when the mask of the one before has come")
    mask_topic: str = setting(
        "",
        f"for lockstep: where masks come from, {_CAMERA} is the camera's name; empty: dcfm/mask, of several "
        f"dcfm/{_CAMERA}/mask, in the node's namespace",
    )
    mask_timeout: float = setting(
        60.0,
        "for lockstep: seconds until the next image is sent without a mask",
        low=0.1,
        high=3600,
        unit="seconds",
    )
    clock: bool = setting(True, "of a recording: publish its time as /clock")

    def __post_init__(self):
        check(self)

    def image_topics(self, recorded: Sequence[str], compressed: bool) -> list[str]:
        """Return the image topic of each camera. compressed: whether the only camera's images are compressed;
        `image_topic` then gets the suffix."""
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
        """Return the mask topic of each camera."""
        # of a segmenter in the same namespace
        default = "dcfm/mask" if len(cameras) == 1 else f"dcfm/{_CAMERA}/mask"
        pattern = self.mask_topic or default
        if len(cameras) > 1 and _CAMERA not in pattern:
            raise ValueError(
                f"mask_topic {pattern} is for one camera, and {self.source} has {', '.join(cameras)}: write "
                f"{_CAMERA} where the camera's name belongs, as in {default}"
            )
        return [pattern.replace(_CAMERA, camera) for camera in cameras]
