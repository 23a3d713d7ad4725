# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO: polygons and RLE of instances, and panoptic label pictures.

Tools differ in file names, in numbers of classes, and in what they leave out. datumaro reads a copy in the
form of the COCO data set itself.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from dcfm_ros.data_import import datumaro_reader
from dcfm_ros.data_import.errors import DataImportError, cause_of
from dcfm_ros.data_import.export import Export
from dcfm_ros.data_import.json_files import files_of
from dcfm_ros.data_import.unpack import Opened, safe_name
from dcfm_ros.sources.read import check_png

_SUBSETS = ("train", "valid", "val", "validation", "test")


def read(opened: Opened) -> Export:
    """Read all COCO files of an export, each a subset of it."""
    classes: dict[str, Any] = {}
    images: list[Any] = []
    left_out: Counter[str] = Counter()
    not_images: set[str] = set()
    for file, content in files_of(opened, "coco"):
        name = opened.name_of(file)
        try:
            panoptic = any("segments_info" in entry for entry in content["annotations"])
            staged, dropped = _staged(opened, file, content, panoptic)
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise DataImportError(
                f"{name} is no COCO file as tools write it ({cause_of(error)}): export it again"
            ) from error
        task = "panoptic" if panoptic else "instances"
        if panoptic:
            not_images.add(file.stem)
        part = datumaro_reader.read_part(
            f"coco_{task}", staged, name, by_number=not panoptic, subset=_subset(file)
        )
        classes |= {label: None for label, _ in part.classes}
        images += part.images
        left_out += part.left_out + dropped
    return Export(
        opened.source,
        "coco",
        tuple(classes.items()),
        tuple(images),
        left_out=left_out,
        places=opened.places(),
        not_images=frozenset(not_images),
    )


def _subset(file: Path) -> str:
    """`train` of train/_annotations.coco.json and of instances_train.json."""
    found = [part for part in (file.stem.rpartition("_")[2], file.parent.name) if part in _SUBSETS]
    return found[0] if found else "default"


def _staged(opened: Opened, file: Path, content: dict, panoptic: bool) -> tuple[Path, Counter[str]]:
    """Write the copy. Images are numbered from 1, and so are classes, since 0 means none; annotations are
    numbered in the order of the file, in which datumaro does not return them."""
    name = opened.name_of(file)
    root = opened.scratch()
    (root / "images").mkdir()
    (root / "annotations").mkdir()
    categories = _categories(content, panoptic)
    numbers = {image["id"]: number for number, image in enumerate(content["images"], start=1)}
    copy = {
        "images": [
            {**image, "id": numbers[image["id"]], "file_name": safe_name(image["file_name"], name)}
            for image in content["images"]
        ],
        "categories": [
            {"id": number, "name": str(entry["name"]), "supercategory": ""}
            for number, entry in enumerate(categories.values(), start=1)
        ],
    }
    ids = {old: number for number, old in enumerate(categories, start=1)}
    unknown = {entry["image_id"] for entry in content["annotations"]} - numbers.keys()
    if unknown:
        raise DataImportError(
            f"{name} has annotations of the image {min(unknown, key=str)}, which it does not list"
        )
    stem = f"{'panoptic' if panoptic else 'instances'}_{_subset(file)}"
    dropped: Counter[str] = Counter()
    if panoptic:
        copy["annotations"] = [
            {
                "image_id": numbers[entry["image_id"]],
                "file_name": _mask(opened, file, entry["file_name"], root / "annotations" / stem),
                "segments_info": [
                    {"id": part["id"], "category_id": ids[part["category_id"]], "iscrowd": 0}
                    for part in entry["segments_info"]
                ],
            }
            for entry in content["annotations"]
        ]
    else:
        copy["annotations"] = [
            _instance(entry, number, numbers, ids, dropped)
            for number, entry in enumerate(content["annotations"], start=1)
        ]
    staged = root / "annotations" / f"{stem}.json"
    staged.write_text(json.dumps(copy))
    return staged, dropped


def _categories(content: dict, panoptic: bool) -> dict[Any, dict]:
    """Return the classes by their numbers. Roboflow adds the project's name as one, of which others are
    kinds."""
    entries = {entry["id"]: entry for entry in content["categories"]}
    annotations = content["annotations"]
    parts = [part for entry in annotations for part in entry["segments_info"]] if panoptic else annotations
    used = {part["category_id"] for part in parts}
    above = {entry.get("supercategory") for entry in entries.values()}
    empty = [
        number
        for number, entry in entries.items()
        if number not in used and entry["name"] in above and entry.get("supercategory") in ("none", "", None)
    ]
    return {number: entry for number, entry in entries.items() if number not in empty}


def _instance(entry: dict, number: int, images: dict, ids: dict, dropped: Counter[str]) -> dict:
    """Return an annotation with what datumaro asks for. Polygons of less than three points are none."""
    segmentation = entry.get("segmentation") or []
    if isinstance(segmentation, list):
        whole = [polygon for polygon in segmentation if len(polygon) >= 6]
        dropped["polygon of less than three points"] += len(segmentation) - len(whole)
        segmentation = whole
    return {
        "id": number,
        "image_id": images[entry["image_id"]],
        "category_id": ids[entry["category_id"]],
        "segmentation": segmentation,
        "bbox": [] if segmentation else entry.get("bbox") or [],
        "iscrowd": int(bool(entry.get("iscrowd"))),
        "attributes": {},
    }


def _mask(opened: Opened, file: Path, name: str, folder: Path) -> str:
    """Put a panoptic label picture where datumaro looks for it; return its name there."""
    safe = safe_name(name, opened.name_of(file))
    for place in (file.with_suffix(""), file.parent, opened.root / file.stem):
        if (place / safe).is_file():
            check_png(place / safe)
            (folder / safe).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place / safe, folder / safe)
            return safe
    raise DataImportError(
        f"{opened.name_of(file)} names the label picture {name}, which is not in {file.stem}/ beside it"
    )
