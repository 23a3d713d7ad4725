# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The formats of exports, and which of them an export has."""

from __future__ import annotations

from importlib import import_module

from dcfm_ros.data_import import datumaro_reader, json_files, xml_files
from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Export
from dcfm_ros.data_import.options import FORMATS
from dcfm_ros.data_import.unpack import Opened
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.to_label import FRAMES_FILE

# Which of them datumaro's formats are; each alone says too little.
_OF_DATUMARO = {
    "voc": "voc",
    "voc_segmentation": "voc",
    "voc_instance_segmentation": "voc",
    "cvat": "cvat",
    "camvid": "camvid",
    "label_me": "labelme_xml",
}
_REFUSED = {
    "cityscapes": "Cityscapes's layout, of which datumaro loses classes; dcfm reads the data set itself "
    "(docs/datasets.md), and from CVAT export `CVAT for images 1.1`",
    json_files.MIN_JSON: "Label Studio's JSON-MIN, which lacks what is needed; export JSON",
}


def read_export(opened: Opened, format: str, known: ClassTable | None) -> Export:
    """Read an export.

    format: one of FORMATS, or auto
    known: classes of label pictures that do not say them
    """
    xml_files.check(opened)
    if format == "auto":
        format = detect(opened)
    if format == "png":
        return import_module("dcfm_ros.data_import.label_pictures").read(opened, known)
    module, function = _READERS[format]
    return getattr(import_module(f"dcfm_ros.data_import.{module}"), function)(opened)


_READERS = {
    "cvat": ("cvat", "read"),
    "coco": ("coco", "read"),
    "voc": ("label_folders", "read_voc"),
    "camvid": ("label_folders", "read_camvid"),
    "datumaro": ("label_folders", "read_datumaro"),
    "labelme_xml": ("label_folders", "read_labelme_xml"),
    "labelme": ("labelme", "read"),
    "label_studio": ("label_studio", "read"),
}


def detect(opened: Opened) -> str:
    """Return the format of an export. Raises DataImportError if it has none that is read, or several."""
    if opened.kind == "folder" and (opened.root / FRAMES_FILE).is_file():
        raise DataImportError(
            f"{opened.source} holds frames to label: give what the annotation tool exported, with --frames "
            f"{opened.source}; or {opened.source}/prelabels, if its pictures were corrected"
        )
    contents = (json_files.load(opened, file) for file in opened.ending_in(".json"))
    found = {json_files.format_of(content) for content in contents} - {""}
    if not found:
        found = _by_files(opened)
    if refused := [_REFUSED[name] for name in sorted(found) if name in _REFUSED]:
        raise DataImportError(f"{opened.source} is {refused[0]}")
    if len(found) == 1:
        return found.pop()
    choices = ", ".join(FORMATS)
    if found:
        raise DataImportError(
            f"{opened.source} could be {' or '.join(sorted(found))}: say which with --format"
        )
    raise DataImportError(
        f"{opened.source} is not recognised: it has nothing of {choices}. Give what the annotation tool "
        "exported, or the format with --format"
    )


def _by_files(opened: Opened) -> set[str]:
    """Of formats without JSON."""
    xml = opened.ending_in(".xml")
    if opened.kind == "file":
        return {"cvat"} if xml else set()
    endings = {file.suffix.lower() for file in opened.files}
    if endings <= {".png", ".yaml"}:
        return {"png"} if ".png" in endings else set()
    names = datumaro_reader.detected(opened.root, opened.source)
    return {_OF_DATUMARO.get(name, name) for name in names if name in _OF_DATUMARO or name in _REFUSED}
