# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of video sources. `open_source`, help and error texts are made from it, so it needs the standard
library alone.

To add one: its module in `sources/`, and its entry in `SOURCE_KINDS` (docs/development.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

DEFAULT_RATE_HZ = 15.0
DEFAULT_SIZE = (480, 360)  # width, height of what is rendered


@dataclass(frozen=True)
class SourceRequest:
    """The checked arguments of `open_source`. size: (width, height) in pixels, each None if not given."""

    name: str
    labels: str | None
    rate_hz: float | None
    size: tuple[int | None, int | None]
    tell: Callable[[str], None]


@dataclass(frozen=True)
class SourceKind:
    """Where frames come from. Its module has two functions: `recognises(name)`, and `open_video(request)`,
    which gives a VideoSource of any size; it is imported when one is called."""

    kind: str
    form: str  # what a user gives, in words; empty: nothing that is taken
    module: str
    is_path: bool = True  # a file or folder, which must exist

    def recognises(self, name: str) -> bool:
        return self._functions().recognises(name)

    def open_video(self, request: SourceRequest) -> Any:
        return self._functions().open_video(request)

    def _functions(self) -> ModuleType:
        return import_module(self.module)


# The first that recognises a name opens it.
SOURCE_KINDS = (
    SourceKind("synthetic", "synthetic[:SEED]", "dcfm_ros.sources.synthetic_source", is_path=False),
    SourceKind("recording", "", "dcfm_ros.sources.recording"),  # refused, with what takes it
    SourceKind("folder", "a folder of images", "dcfm_ros.sources.folder"),
    SourceKind("video", "a video file", "dcfm_ros.sources.video_file"),
)


def source_forms() -> str:
    """Return the supported forms of a source, in words, for help and error texts."""
    *others, last = (kind.form for kind in SOURCE_KINDS if kind.form)
    return f"{', '.join(others)}, or {last}"
