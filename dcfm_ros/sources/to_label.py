# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of frames to label, as `dcfm bag frames` writes them: `frames.json`, and where the files are.

    TO_LABEL/
      frames.json                          this module reads and writes it
      images/<frame>.jpg                   the frames to label; <frame>: <recording>[_<camera>]_<stamp in ns>
      neighbours/<frame>/000.jpg ...       the frames before and after, not to be labelled
      prelabels/<frame>.png                class ids of the model's mask, 255 where there is none
      prelabels_color/<frame>.png          the same in colours
      classes.yaml                         the classes, as a data folder has them
      cvat_images.zip cvat_prelabels.zip   for CVAT
      label_studio.json label_studio.xml   for Label Studio

Neighbours are named by their place in the clip that they make with the frame: with four on each side they are
000 to 003 and 005 to 008, and the frame is 004. So with `images/<frame>.jpg` put in as `004.jpg` a folder of
`neighbours/` is a clip of a data folder (docs/datasets.md), labelled in one frame:

    my_data/
      images/<frame>/000.jpg ... 008.jpg
      labels/<frame>/004.png
      classes.yaml                         with `video: {rate_hz: ...}`, of `ToLabel.rate_hz`

frames.json:

    {"format": 1,
     "classes": [{"name": "road", "color": [128, 64, 128]}, ...],    label value 0 first
     "rate_hz": 15.0,                                                of the frames of a clip, the median
     "frames": [{"image": "images/drive_1700000000000000000.jpg",    paths are relative to the folder, with /
                 "prelabel": "prelabels/drive_1700000000000000000.png",
                 "recording": "drive", "topic": "/camera/image_raw", "stamp_ns": 1700000000000000000,
                 "width": 480, "height": 360,
                 "position": 4,                                      of the frame in its clip
                 "neighbours": ["neighbours/drive_1700000000000000000/000.jpg", ...],
                 "why": {"rank": 1, "reason": "...", "distance": 0.71, "uncertainty": 0.2, ...}}, ...],
     ...}                                                            more: recordings, model, options
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from dcfm_ros.plain_files import read_json
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError

FRAMES_FILE = "frames.json"
FORMAT = 1
_STUDIO_PREFIX = re.compile(
    r"[0-9a-f]{8}-"
)  # Label Studio puts it before the names of files that are uploaded


@dataclass(frozen=True)
class LabelFrame:
    """A frame to label. Paths are relative to the folder, with forward slashes."""

    image: str
    prelabel: str
    recording: str
    topic: str  # empty for video files and folders of images
    stamp_ns: int
    width: int
    height: int
    position: int = 0  # in its clip
    neighbours: tuple[str, ...] = ()  # in the order of time, named by their positions in the clip
    why: dict[str, Any] = field(default_factory=dict)  # why it was chosen

    @property
    def name(self) -> str:
        """Name of the frame, which is that of its files without their endings, and of its clip."""
        return PurePosixPath(self.image).stem

    def clip_files(self) -> dict[str, str]:
        """Return the clip's files in the order of time: the path of each by its name in the clip. The label
        is called like the frame's, `label_name`."""
        files = {PurePosixPath(path).name: path for path in self.neighbours}
        files[f"{self._number}{PurePosixPath(self.image).suffix}"] = self.image
        return dict(sorted(files.items()))

    @property
    def label_name(self) -> str:
        """Name of the label in the clip."""
        return f"{self._number}.png"

    @property
    def _number(self) -> str:
        return position_name(self.position)


@dataclass(frozen=True)
class ToLabel:
    """Content of frames.json."""

    classes: ClassTable  # (name, RGB); the first is label value 0
    rate_hz: float
    frames: tuple[LabelFrame, ...]
    about: Mapping[str, Any] = field(default_factory=dict)  # what else it says

    def frame(self, name: str) -> LabelFrame | None:
        """Return the frame that an annotation tool calls so, with or without folders and ending; None if
        there is none. Label Studio's prefix of uploaded files is taken off."""
        parts = PurePosixPath(name.replace("\\", "/"))
        found = self._by_name.get(parts.name) or self._by_name.get(parts.stem)
        if found is None and (prefix := _STUDIO_PREFIX.match(parts.name)):
            return self.frame(parts.name[prefix.end() :])
        return found

    @cached_property
    def _by_name(self) -> dict[str, LabelFrame]:
        return {frame.name: frame for frame in self.frames}


def position_name(position: int) -> str:
    """Return the name, without ending, of the image at this place in a clip."""
    return f"{position:03d}"


def is_to_label(folder: str | Path) -> bool:
    """Return whether this is a folder that `dcfm bag frames` wrote."""
    return (Path(folder) / FRAMES_FILE).is_file()


def write_to_label(folder: Path, content: ToLabel) -> None:
    """Write frames.json into the folder."""
    plain = {
        "format": FORMAT,
        "classes": [{"name": name, "color": list(color)} for name, color in content.classes],
        "rate_hz": content.rate_hz,
        **content.about,
        "frames": [asdict(frame) for frame in content.frames],
    }
    (folder / FRAMES_FILE).write_text(
        json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def read_to_label(folder: str | Path) -> ToLabel:
    """Read the folder's frames.json. Raises SourceError that names what is wrong with it, or the first file
    that is missing."""
    folder = Path(folder)
    path = folder / FRAMES_FILE
    try:
        plain = read_json(path)
    except FileNotFoundError as error:
        raise SourceError(f"there is no {path}: give a folder that `dcfm bag frames` wrote") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read ({error}): run `dcfm bag frames` again") from error
    found = plain.get("format") if isinstance(plain, dict) else None
    if found != FORMAT:
        raise SourceError(
            f"{path} has the format {found!r}, and this version reads {FORMAT}: run `dcfm bag frames` of "
            "this version again"
        )
    try:
        content = _content(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{path} is damaged ({error!r}): run `dcfm bag frames` again") from error
    for frame in content.frames:
        for file in (frame.image, *frame.neighbours):
            if not (folder / file).is_file():
                raise SourceError(
                    f"{folder / file}, which {path} names, is missing: keep the folder as `dcfm bag frames` "
                    "wrote it"
                )
    return content


def _content(plain: dict[str, Any]) -> ToLabel:
    classes = tuple(_class(entry) for entry in plain["classes"])
    if not 1 <= len(classes) <= 255:
        raise ValueError(f"{len(classes)} classes")
    frames = tuple(_frame(entry) for entry in plain["frames"])
    known = {"format", "classes", "rate_hz", "frames"}
    about = {name: value for name, value in plain.items() if name not in known}
    return ToLabel(classes, float(plain["rate_hz"]), frames, about)


def _class(entry: dict[str, Any]) -> tuple[str, tuple[int, int, int]]:
    name, (red, green, blue) = entry["name"], entry["color"]
    if not isinstance(name, str) or not all(type(v) is int and 0 <= v <= 255 for v in (red, green, blue)):
        raise ValueError(f"the class {_short(entry)}")
    return name, (red, green, blue)


def _frame(entry: dict[str, Any]) -> LabelFrame:
    """Return a frame whose entries are of the types that LabelFrame says, and whose files lie in the
    folder."""
    frame = LabelFrame(**{**entry, "neighbours": tuple(entry["neighbours"])})
    texts = (frame.image, frame.prelabel, frame.recording, frame.topic, *frame.neighbours)
    numbers = (frame.stamp_ns, frame.width, frame.height, frame.position)
    if not (
        all(isinstance(text, str) for text in texts)
        and all(type(number) is int for number in numbers)
        and frame.position >= 0
        and isinstance(frame.why, dict)
    ):
        raise ValueError(f"the frame {_short(entry)}")
    for file in (frame.image, *frame.neighbours):
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise ValueError(f"the file {file!r} is outside of the folder")
    return frame


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
