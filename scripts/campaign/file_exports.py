# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of files: exports of annotation tools, as `dcfm data import` reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import Random

import data_import_helpers as helpers

from campaign.file_changes import Change, json_tree, xml_text, yaml_text, zip_entries
from campaign.file_kind import Kind
from campaign.file_pictures import KINDS as PICTURES
from campaign.mutations import mutated, odd_value
from campaign.png_changes import png_chunks
from dcfm_ros.data_import.import_data import import_data
from dcfm_ros.data_import.options import DataImportOptions


def _make(folder: Path, name: str) -> None:
    getattr(helpers, name)(folder / name)


def _zipped(folder: Path, name: str) -> None:
    getattr(helpers, name)(folder / name)
    helpers.zipped(folder / name)
    shutil.rmtree(folder / name)


def read_export(folder: Path, out: Path, **options: object) -> None:
    """Import the export into a data folder."""
    (path,) = (path for path in folder.iterdir() if path.name != "map.yaml")
    import_data(DataImportOptions((str(path),), str(out / "data"), **options))  # type: ignore[arg-type]


def _of_frames(folder: Path) -> None:
    (folder / "frames").mkdir()
    next(kind for kind in PICTURES if kind.name == "frames.json").make(folder / "frames")
    content = json.loads(helpers.label_studio(_empty(folder / "export")).read_text())
    for path in (folder / "export").rglob("*.png"):
        path.unlink()
    (folder / "export" / "images").rmdir()
    for task, name in zip(content, ("a.jpg", "b.jpg")):
        task["data"]["image"] = name
    (file,) = (folder / "export").iterdir()
    file.rename(folder / "export" / "export.json")
    (folder / "export" / "export.json").write_text(json.dumps(content))


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _read_of_frames(folder: Path, out: Path) -> None:
    import_data(
        DataImportOptions((str(folder / "export"),), str(out / "data"), frames=str(folder / "frames"))
    )


def json_of_mask(data: bytes, random: Random) -> bytes:
    """Change numbers of RLE masks and brushes, which are long lists."""
    content = json.loads(data)

    def change(node: object) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("counts", "rle", "points", "segmentation") and isinstance(value, list) and value:
                    for _ in range(random.choice((1, 1, 3))):
                        value[random.randrange(len(value))] = odd_value(random)
                elif (
                    key in ("size", "imageHeight", "original_width", "width", "height")
                    and random.random() < 0.3
                ):
                    node[key] = random.choice((0, -1, 50_000, 2**31, 2**62, [2**31, 2**31], [12, 8], 1e9))
                change(value)
        elif isinstance(node, list):
            for value in node:
                change(value)

    change(content)
    return json.dumps(content).encode()


_JSON = (mutated, json_tree, json_tree, json_of_mask)


def _of(name: str, changes: Mapping[str, tuple[Change, ...]], weight: float = 1.0) -> Kind:
    in_folder = {f"{name}/{file}": these for file, these in changes.items()}
    return Kind(f"export of {name}", partial(_make, name=name), in_folder, read_export, weight)


KINDS = (  # what datumaro reads takes the longest by far
    _of("cvat", {"annotations.xml": (mutated, xml_text, xml_text)}, 0.15),
    _of("labelme_xml", {"Annotations/a_0001.xml": (mutated, xml_text)}, 0.1),
    _of("coco", {"annotations/instances_default.json": _JSON}, 0.5),
    _of("coco_panoptic", {"panoptic_val.json": _JSON, "panoptic_val/a_0001.png": (mutated, png_chunks)}, 0.3),
    _of("datumaro", {"annotations/default.json": _JSON}, 0.15),
    _of("voc", {"labelmap.txt": (mutated,), "SegmentationClass/a_0001.png": (mutated, png_chunks)}, 0.1),
    _of("camvid", {"label_colors.txt": (mutated,)}, 0.1),
    _of("labelme", {"a_0001.json": _JSON}),
    _of("png", {"labels/a_0001.png": (mutated, png_chunks), "labels/classes.yaml": (yaml_text,)}, 0.5),
    Kind(
        "export of label_studio",
        lambda folder: helpers.label_studio(_empty(folder / "label_studio")),
        {"label_studio/project-1-at-2026.json": _JSON},
        read_export,
    ),
    Kind(
        "zip of CVAT",
        partial(_zipped, name="cvat"),
        {"cvat.zip": (mutated, zip_entries, zip_entries)},
        read_export,
        weight=0.3,
    ),
    Kind(
        "zip of labelme",
        partial(_zipped, name="labelme"),
        {"labelme.zip": (mutated, zip_entries, zip_entries)},
        read_export,
    ),
    Kind(
        "frames.json of an export",
        _of_frames,
        {"frames/frames.json": (json_tree,), "export/export.json": (json_tree,)},
        _read_of_frames,
        weight=0.5,
    ),
)
