# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The classes that frames are labelled with, and which of them the model's masks become."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from pathlib import Path

from dcfm_ros.model.class_map import ClassMap, MappedClass, read_class_map
from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.clips.classes_file import FILE, classes_text, read_classes

_BLACK = (0, 0, 0)  # what is unlabelled, in label pictures in colours


def label_classes(
    model_classes: Sequence[ClassSpec], classes_file: str, class_map: str, note: Callable[[str], object]
) -> ClassMap:
    """Return the classes to label with, made of the model's: these, those of a `classes.yaml`, by their
    names, or those of a class map. Label values are indices of its classes.

    Each has a colour of its own, none is black. note: called with what the user has to know
    """
    if classes_file:
        mapped = _by_name(model_classes, read_classes(Path(classes_file)).table, note)
    else:
        mapped = read_class_map(class_map, model_classes)
    if wrong := [
        mapped_class.name for mapped_class in mapped.classes if set(mapped_class.name) & set(":\n#")
    ]:
        raise ConfigError(
            f"class {wrong[0]!r}: CVAT's label map cannot hold a name with a colon, a # or a line break; "
            "rename it"
        )
    return ClassMap(_distinct(mapped.classes, note), mapped.model_classes)


def table_of(mapped: ClassMap) -> ClassTable:
    """Return names and colours of the classes, by label value."""
    return tuple((mapped_class.name, mapped_class.color) for mapped_class in mapped.classes)


def write_classes(folder: Path, table: ClassTable) -> None:
    """Write `classes.yaml`."""
    (folder / FILE).write_text(classes_text(table), encoding="utf-8")


def _by_name(
    model_classes: Sequence[ClassSpec], table: ClassTable, note: Callable[[str], object]
) -> ClassMap:
    ids = {one.name: number for number, one in enumerate(model_classes)}
    mapped = tuple(
        MappedClass(number, name, color, (ids[name],) if name in ids else ())
        for number, (name, color) in enumerate(table)
    )
    if unknown := [name for name, _ in table if name not in ids]:
        note(
            f"the model does not know {', '.join(unknown)}: there are no pre-labels of "
            f"{'these classes' if len(unknown) > 1 else 'this class'}; --class-map says what becomes what"
        )
    return ClassMap(mapped, len(model_classes))


def _distinct(classes: Sequence[MappedClass], note: Callable[[str], object]) -> tuple[MappedClass, ...]:
    """Give classes that are black, or have the colour of an earlier one, a colour of their own: label
    pictures could not tell them apart."""
    used, distinct, changed = {_BLACK, *(one.color for one in classes)}, [], []
    seen = {_BLACK}
    for number, one in enumerate(classes):
        color = one.color
        if color in seen:
            color = next(fresh for fresh in map(_color, range(number, number + 2000)) if fresh not in used)
            changed.append(one.name)
        used.add(color)
        seen.add(color)
        distinct.append(MappedClass(one.id, one.name, color, one.sources))
    if changed:
        note(
            f"{', '.join(changed)}: new colours, as black and the colour of another class cannot be told "
            "apart in label pictures"
        )
    return tuple(distinct)


def _color(number: int) -> tuple[int, int, int]:
    """Return the colour of this number, of a sequence in which near ones differ."""
    hue, light = number * 0.618034 % 1.0, 0.35 + 0.1 * (number % 4)
    red, green, blue = colorsys.hls_to_rgb(hue, light, 0.8)
    return round(255 * red), round(255 * green), round(255 * blue)
