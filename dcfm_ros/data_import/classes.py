# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which class of the data folder each class of an export is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Colour, Export, sources_of
from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.class_map import read_class_map
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.sources.classes import ClassTable, voc_colour
from dcfm_ros.sources.clips.classes_file import named_classes
from dcfm_ros.sources.data_sets import CLASS_TABLES

BACKGROUND = "background"
_NO_CLASS = ("void", "unlabeled", "unlabelled", "ignore", "ignored")  # in any export


@dataclass(frozen=True)
class Classes:
    """The classes of the data folder.

    ids: class id of each label of the exports; 255 for those without a class
    fill: class id of pixels without a shape
    """

    table: ClassTable
    ids: Mapping[str, int]
    fill: int
    notes: tuple[str, ...] = ()


def key(name: str) -> str:
    """Names of classes that differ in case, spaces, underscores and hyphens alone are the same."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def given_classes(given: str) -> ClassTable:
    """Return the class list of a model, a table's name or a file."""
    if given in CLASS_TABLES or Path(given).is_file():
        return named_classes(given)
    from dcfm_ros.model.model_yaml import ModelError, load_model_config

    try:
        return tuple((c.name, c.color) for c in load_model_config(given).classes)
    except ModelError as error:
        raise DataImportError(
            f"--classes {given} is no table ({', '.join(CLASS_TABLES)}), no file, and no model: {error}"
        ) from error


def united(
    exports: Sequence[Export],
    target: ClassTable | None,
    pairs: Sequence[str] = (),
    class_map: str = "",
    background: str = "",
) -> Classes:
    """Bring the classes of all exports together, by name.

    target: class list that they must have; None: that of the exports, in their order
    pairs: NAME=CLASS
    class_map: see `read_class_map`
    background: class of pixels without a shape
    """
    own: dict[str, Colour | None] = {}
    for export in exports:
        for name, colour in export.classes:
            own[name] = own.get(name) or colour
    meant = _renamed(own, pairs, class_map)
    unlabelled = {name for export in exports for name in export.unlabelled}
    if target is None:
        target = _own_table(meant, unlabelled, background)
    ids = {key(name): number for number, (name, _) in enumerate(target)}
    fill = ids.get(key(background or BACKGROUND), IGNORE_LABEL)
    if background and fill == IGNORE_LABEL:
        raise DataImportError(
            f"--background {background} is none of the classes {_names(target)}: name one of them"
        )
    found, unknown = {}, []
    for name, new in meant.items():
        if new is None or key(new.name) in _NO_CLASS:
            found[name] = IGNORE_LABEL
        elif name in unlabelled and new.name == name:  # what tools paint where nothing was drawn
            found[name] = fill if key(name) == key(BACKGROUND) else IGNORE_LABEL
        elif key(new.name) in ids:
            found[name] = ids[key(new.name)]
        else:
            unknown.append(name)
    used = {shape.label for export in exports for image in export.images for shape in image.shapes}
    if drawn := [name for name in unknown if name in used]:
        raise DataImportError(
            f"{sources_of(exports)} has classes that are none of {_names(target)}: {', '.join(drawn)}. Say "
            f"what they are with --map '{drawn[0]}=CLASS', or leave them without a class with "
            f"--map '{drawn[0]}='"
        )
    notes = (f"left out, as no shape has them: the classes {', '.join(unknown)}",) if unknown else ()
    return Classes(target, found, fill, notes)


@dataclass(frozen=True)
class _Meant:
    """What a class is to be called."""

    name: str
    colour: Colour | None


def _renamed(
    own: Mapping[str, Colour | None], pairs: Sequence[str], class_map: str
) -> dict[str, _Meant | None]:
    """Return what each class is to be called, in the order of the new classes; None for no class."""
    found: dict[str, _Meant | None] = {name: _Meant(name, colour) for name, colour in own.items()}
    if class_map:
        specs = [ClassSpec(name, colour or (0, 0, 0)) for name, colour in own.items()]
        mapped = [
            (specs[number].name, entry)
            for entry in read_class_map(class_map, specs).classes
            for number in entry.sources
        ]
        listed: dict[str, _Meant | None] = {name: _Meant(entry.name, entry.color) for name, entry in mapped}
        found = listed | {name: None for name in own if name not in listed}
    for pair in pairs:
        before, _, after = pair.partition("=")
        names = [name for name in own if key(name) == key(before)]
        if not names:
            raise DataImportError(f"--map {pair}: no class is called {before}; there are {', '.join(own)}")
        for name in names:
            found[name] = _Meant(after.strip(), own[name]) if after.strip() else None
    return found


def _own_table(meant: Mapping[str, _Meant | None], unlabelled: set[str], background: str) -> ClassTable:
    """Return the exports' own classes, with colours that can be told apart."""
    kept = [
        new
        for name, new in meant.items()
        if new is not None
        and key(new.name) not in _NO_CLASS
        and (name not in unlabelled or new.name != name or key(name) == key(background))
    ]
    if background and not any(key(new.name) == key(background) for new in kept):
        kept.append(_Meant(background, (0, 0, 0)))
    by_key: dict[str, _Meant] = {}
    for new in kept:
        by_key.setdefault(key(new.name), new)
    if not 1 <= len(by_key) <= IGNORE_LABEL:
        raise DataImportError(f"there are {len(by_key)} classes; 1 to {IGNORE_LABEL} can be used")
    table: list[tuple[str, Colour]] = []
    for new in by_key.values():
        taken = {colour for _, colour in table} | {
            other.colour for other in by_key.values() if other is not new and other.colour
        }
        colour = new.colour
        if colour is None or any(colour == other for _, other in table):
            colour = next(c for c in map(voc_colour, range(1, 256)) if c not in taken)
        table.append((new.name, colour))
    return tuple(table)


def _names(table: ClassTable) -> str:
    return ", ".join(name for name, _ in table)
