# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of `dcfm data import`. Only the standard library is needed."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.config_folders import ready_class_maps
from dcfm_ros.setting_fields import ConfigError, check, setting
from dcfm_ros.sources.data_sets import CLASS_TABLES

# Formats of exports that are read, in words.
FORMATS = {
    "cvat": "`CVAT for images 1.1`",
    "coco": "COCO, instances or panoptic, of any tool",
    "voc": "PASCAL VOC, and CVAT's `Segmentation mask 1.1`",
    "camvid": "CamVid, as CVAT writes it",
    "datumaro": "datumaro's own",
    "labelme": "labelme's JSON",
    "labelme_xml": "LabelMe's XML",
    "label_studio": "Label Studio's JSON",
    "png": "label pictures called like their images",
}


@dataclass(frozen=True)
class DataImportOptions:
    """What is imported, where to, and which classes it gets."""

    files: tuple[str, ...] = setting(
        description="what annotation tools exported: zips, folders, JSON or XML files",
        positional=True,
        metavar="FILES",
    )
    out: str = setting(description="data folder to write; must not exist, or be empty", metavar="FOLDER")
    format: str = setting("auto", "format of the exports", choices=("auto", *FORMATS))
    frames: str = setting(
        "",
        "folder of `dcfm bag frames` that was labelled: it has the images, their neighbours and recordings",
        metavar="TO_LABEL",
    )
    images: str = setting("", "folder in which the images lie, for exports without them", metavar="FOLDER")
    classes: str = setting(
        "",
        "class list to use: a model (built-in name or folder), a table "
        f"({', '.join(CLASS_TABLES)}), or a file like classes.yaml of a data set; default: the exports' own",
        metavar="MODEL|TABLE|FILE",
    )
    map: tuple[str, ...] = setting(
        (),
        "another name of a class, as in person=pedestrian; `NAME=`: no class; may be repeated",
        repeat=True,
        metavar="NAME=CLASS",
    )
    class_map: str = setting(
        "",
        "merges, renames or ignores the exports' classes: a YAML file, or one of "
        f"{', '.join(ready_class_maps())}",
        metavar="MAP",
    )
    background: str = setting(
        "",
        "class of pixels without a shape; default: background, if --classes has it, else they are ignored",
        metavar="CLASS",
    )
    val: float | None = setting(
        None,
        "share of the images for validation, by whole recordings where there are several",
        above=0,
        below=1,
    )
    link: bool = setting(False, "hard links to the images instead of copies")

    def __post_init__(self):
        check(self)
        for pair in self.map:
            if not pair.partition("=")[0].strip() or "=" not in pair:
                raise ConfigError(f"--map {pair!r}: use NAME=CLASS, as in person=pedestrian")
