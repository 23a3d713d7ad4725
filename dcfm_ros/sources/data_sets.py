# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of labelled data sets. Settings, command lines, help and error texts are made from it, so it
needs the standard library alone.

To add one: its module in `sources/clips/`, and its entry in `DATA_SETS` (docs/development.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

from dcfm_ros.sources.classes import STREET11, ClassTable

SYNTHETIC = (
    "synthetic"  # scenes that are rendered: synthetic:SEED or synthetic:FIRST-LAST instead of a folder
)


@dataclass(frozen=True)
class DataSet:
    """A data set in a folder. Its module has two functions: `recognises(root)`, whether the folder has its
    layout, and `open_split(root, split)`, which gives a ClipSet; it is imported when one is called."""

    kind: str  # in settings and on command lines
    title: str
    layout: str  # what `recognises` looks for, in words
    module: str
    classes: str = ""  # `module:attribute` of its class table; empty: the folder itself says its classes

    def recognises(self, root: Path) -> bool:
        return self._functions().recognises(root)

    def open_split(self, root: Path, split: str):
        return self._functions().open_split(root, split)

    def _functions(self) -> ModuleType:
        return import_module(self.module)


SOFT_LABELS = "soft_labels"  # of a teacher, as `dcfm distil` writes them

_CLASSES, _CLIPS = "dcfm_ros.sources.classes", "dcfm_ros.sources.clips"
DATA_SETS = {
    data_set.kind: data_set
    for data_set in (
        DataSet(
            "vspw",
            "VSPW",
            "data/ and train.txt, val.txt or test.txt",
            f"{_CLIPS}.vspw",
            f"{_CLASSES}:VSPW124",
        ),
        DataSet(
            "cityscapes",
            "Cityscapes",
            "leftImg8bit_sequence/ or leftImg8bit/, and gtFine/",
            f"{_CLIPS}.cityscapes",
            f"{_CLASSES}:CITYSCAPES19",
        ),
        DataSet(
            "camvid", "CamVid", "SPLIT/images/0016E5_07959.jpg", f"{_CLIPS}.camvid", f"{_CLASSES}:STREET11"
        ),
        DataSet(SOFT_LABELS, "soft labels", "soft_labels.json", f"{_CLIPS}.soft_labels"),
        DataSet("folder", "your own", "classes.yaml", f"{_CLIPS}.folder"),
    )
}

KINDS = ("auto", *DATA_SETS, SYNTHETIC)  # auto: recognised by the layout
# Class tables by the names that settings and commands know.
CLASS_TABLES = (*(kind for kind, data_set in DATA_SETS.items() if data_set.classes), "street11")


def class_table(name: str) -> ClassTable:
    """Return the class table for a name in CLASS_TABLES, or for synthetic scenes."""
    return STREET11 if name in (SYNTHETIC, "street11") else resolve_name(DATA_SETS[name].classes)


def layouts() -> str:
    """Return the supported folder layouts, in words."""
    *others, last = (f"{data_set.title} ({data_set.layout})" for data_set in DATA_SETS.values())
    return f"{', '.join(others)} or {last}"
