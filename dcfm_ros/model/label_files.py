# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm model labels`: writes a mask's classes as files for mapping systems: Hydra's label space, and the
colours for Hydra and Kimera."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import yaml

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.class_map import MappedClass, read_class_map
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.model_yaml import load_model_config

# Names of classes that move on their own.
MOVABLE = (
    "person",
    "pedestrian",
    "rider",
    "bicyclist",
    "bicycle",
    "motorcycle",
    "car",
    "truck",
    "bus",
    "train",
    "animal",
    "PERSON",
    "VEHICLE",
    "BIKE",
)
_FORMULA = ("=", "+", "-", "@")  # how a formula begins


def write_labels(
    model: str, folder: Path, class_map: str = "", dynamic: Sequence[str] | None = None
) -> list[Path]:
    """Write `label_space.yaml` and `colors.csv`; return the files. Raises ConfigError for an unknown class,
    and for a name that a spreadsheet would take for a formula.

    class_map: see `read_class_map`
    dynamic: names of the classes that move on their own; None: those in MOVABLE
    """
    mapped = read_class_map(class_map, load_model_config(model).classes)
    moving = (
        [mapped.by_name(name).id for name in dynamic]
        if dynamic is not None
        else [c.id for c in mapped.classes if c.name in MOVABLE]
    )
    for c in mapped.classes:
        if c.name.startswith(_FORMULA):
            raise ConfigError(
                f"class {c.name!r}: a spreadsheet would run this name in colors.csv as a formula; rename it "
                "with --class-map"
            )
    folder.mkdir(parents=True, exist_ok=True)
    space, colors = folder / "label_space.yaml", folder / "colors.csv"
    space.write_text(yaml.safe_dump(_label_space(mapped.classes, moving), sort_keys=False))
    with colors.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "red", "green", "blue", "alpha", "id"])
        rows.writerows([c.name, *c.color, 255, c.id] for c in mapped.classes)
        rows.writerow(["unlabelled", 0, 0, 0, 255, IGNORE_LABEL])
    return [space, colors]


def _label_space(classes: tuple[MappedClass, ...], dynamic: list[int]) -> dict:
    return {
        "total_semantic_labels": IGNORE_LABEL + 1,
        "dynamic_labels": dynamic,
        "invalid_labels": [IGNORE_LABEL],
        "object_labels": [],
        "surface_places_labels": [],
        "label_names": [{"label": c.id, "name": c.name} for c in classes],
    }
