# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Formats that datumaro reads as they are: label pictures of PASCAL VOC and CamVid, and its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from dcfm_ros.data_import import datumaro_reader
from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Export
from dcfm_ros.data_import.unpack import Opened
from dcfm_ros.sources.read import check_png


def read_voc(opened: Opened) -> Export:
    """Read label pictures in the colours of labelmap.txt, as CVAT's `Segmentation mask 1.1`; without that
    file in PASCAL VOC's."""
    root = _above(opened, "ImageSets")
    _check_pictures(opened, "SegmentationClass")
    # Pictures of instances are left out: classes say everything, and instances of more than 255 repeat.
    staged = opened.scratch()
    for name in ("ImageSets", "SegmentationClass"):
        if not (root / name).is_dir():
            raise DataImportError(f"{opened.source} has no {name}/: export it again, with masks")
        shutil.copytree(root / name, staged / name)
    if (root / "labelmap.txt").is_file():
        shutil.copy(root / "labelmap.txt", staged)
    found = datumaro_reader.read("voc_segmentation", staged, opened.source)
    return _export(
        opened, "voc", found, {"background", "ignored"}, {"SegmentationClass", "SegmentationObject"}
    )


def read_camvid(opened: Opened) -> Export:
    """Read label pictures in the colours of label_colors.txt, which CVAT and others call CamVid."""
    root = _above(opened, "label_colors.txt")
    _check_pictures(opened, "annot")
    found = datumaro_reader.read("camvid", root, opened.source)
    labels = {path.parent.name for path in opened.files if path.parent.name.endswith("annot")}
    return _export(opened, "camvid", found, {"background", "Void"}, labels)


def read_datumaro(opened: Opened) -> Export:
    """Read datumaro's own JSON."""
    found = datumaro_reader.read("datumaro", _above(opened, "annotations"), opened.source)
    return _export(opened, "datumaro", found, set(), set())


def read_labelme_xml(opened: Opened) -> Export:
    """Read the XML of the LabelMe of the web, as CVAT's `LabelMe ZIP 3.0`."""
    found = datumaro_reader.read("label_me", opened.root, opened.source)
    return _export(opened, "labelme_xml", found, set(), {"Masks"})


def _check_pictures(opened: Opened, ending: str) -> None:
    """Raise SourceError for a picture that is damaged or too large, in folders whose names end so."""
    for file in opened.ending_in(".png"):
        if file.parent.name.endswith(ending):
            check_png(file)


def _export(
    opened: Opened, format: str, found: datumaro_reader.Read, unlabelled: set[str], not_images: set[str]
) -> Export:
    return Export(
        opened.source,
        format,
        found.classes,
        found.images,
        frozenset(unlabelled),
        found.left_out,
        opened.places(),
        frozenset(not_images),
    )


def _above(opened: Opened, name: str) -> Path:
    """Return the folder in which a folder or file of this name lies, the outermost."""
    for file in sorted(opened.files, key=lambda file: len(file.parts)):
        parts = file.relative_to(opened.root).parts
        if name in parts:
            return opened.root.joinpath(*parts[: parts.index(name)])
    raise DataImportError(f"{opened.source} has no {name}: give another --format")
