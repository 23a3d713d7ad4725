# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classes of published masks: the model's own, or those of a class map that merges, renames, renumbers or
ignores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dcfm_ros.config_folders import ready_class_maps
from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.plain_files import PlainFileError, read_yaml

_GREY = (128, 128, 128)
_KEYS = {"classes", "ignore", "rest", "skip_unknown"}
_CLASS_KEYS = {"of", "id", "color"}


@dataclass(frozen=True)
class MappedClass:
    """One class of published masks. sources: ids of the model's classes that are merged into it; may be
    empty."""

    id: int
    name: str
    color: tuple[int, int, int]  # RGB, 0..255
    sources: tuple[int, ...]


@dataclass(frozen=True)
class ClassMap:
    """Maps the model's class ids to mask values. Model classes that no class lists are ignored."""

    classes: tuple[MappedClass, ...]
    model_classes: int  # number of the model's classes

    @classmethod
    def of_model(cls, classes: Sequence[ClassSpec]) -> ClassMap:
        """Return the identity map: the model's own classes."""
        return cls(
            tuple(MappedClass(number, c.name, c.color, (number,)) for number, c in enumerate(classes)),
            len(classes),
        )

    @cached_property
    def table(self) -> np.ndarray:
        """(256,) uint8: the mask value of every model id; the ignore value for ids without a class."""
        table = np.full(256, IGNORE_LABEL, np.uint8)
        for mapped in self.classes:
            table[list(mapped.sources)] = mapped.id
        return table

    def indices(self, ids: np.ndarray) -> np.ndarray:
        """Convert model ids, uint8, to indices into `classes`; ignored ids, and the ignore value, stay
        ignored. Raises ValueError for ids that the model does not have."""
        unknown = (ids >= self.model_classes) & (ids != IGNORE_LABEL)
        if unknown.any():
            raise ValueError(
                f"holds the id {ids[unknown][0]}, but there are {self.model_classes} classes; mark "
                f"unlabelled pixels with {IGNORE_LABEL}"
            )
        return self._indices_of_model[ids]

    def indices_of_published(self, mask: np.ndarray) -> np.ndarray:
        """Convert values of a published mask, uint8, to indices into `classes`; the ignore value stays."""
        return self._indices[mask]

    @cached_property
    def _indices_of_model(self) -> np.ndarray:
        """(256,) uint8: the index into `classes` of every model id; the ignore value for ids without a
        class."""
        return self._indices[self.table]

    @cached_property
    def _indices(self) -> np.ndarray:
        """(256,) uint8: the index into `classes` of every mask value; the ignore value for values without a
        class."""
        indices = np.full(256, IGNORE_LABEL, np.uint8)
        indices[[mapped.id for mapped in self.classes]] = range(len(self.classes))
        return indices

    @cached_property
    def colors(self) -> np.ndarray:
        """(256, 3) uint8 RGB: the colour of every mask value; black for those that are no class."""
        return palette_table({mapped.id: mapped.color for mapped in self.classes})

    @cached_property
    def groups(self) -> np.ndarray:
        """(model's classes,) int64: the index into `classes` for each of the model's classes; -1 if
        ignored."""
        groups = np.full(self.model_classes, -1, np.int64)
        for index, mapped in enumerate(self.classes):
            groups[list(mapped.sources)] = index
        return groups

    @property
    def changes_ids(self) -> bool:
        return not np.array_equal(self.table[: self.model_classes], np.arange(self.model_classes))

    @property
    def merges(self) -> bool:
        """Whether a class has several source classes or none, or model classes are ignored; probabilities
        then have to be summed."""
        return any(len(mapped.sources) != 1 for mapped in self.classes) or bool((self.groups < 0).any())

    def by_name(self, name: str) -> MappedClass:
        """Return the class of this name. Raises ConfigError if there is none."""
        for mapped in self.classes:
            if mapped.name == name:
                return mapped
        raise ConfigError(
            f"no class {name!r}: use some of {', '.join(mapped.name for mapped in self.classes)}"
        )


def palette_table(colors: Mapping[int, tuple[int, int, int]]) -> np.ndarray:
    """The colour of every mask value: (256, 3) uint8 RGB; black for those without a class, 255 among them.

    colors: RGB of each class id, 0..255; at least one
    """
    if not colors or not all(0 <= number < IGNORE_LABEL for number in colors):
        raise ValueError(
            f"there are colours of the ids {sorted(colors)}; give 1 to {IGNORE_LABEL} of them, of ids 0 to "
            f"{IGNORE_LABEL - 1}, as mask value {IGNORE_LABEL} is unlabelled"
        )
    table = np.zeros((256, 3), np.uint8)
    for number, color in colors.items():
        if len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise ValueError(
                f"colour of class {number} is {tuple(color)}; give red, green and blue from 0 to 255"
            )
        table[number] = color
    return table


def read_class_map(given: str, classes: Sequence[ClassSpec]) -> ClassMap:
    """Return the class map of this name or YAML file for a model's classes; the model's own classes if
    `given` is empty.

    Raises ConfigError for a map that cannot be read, that lists a class twice or an unknown one, or that does
    not cover all classes.
    """
    if not given:
        return ClassMap.of_model(classes)
    path = Path(given).expanduser()
    if not path.is_file():
        ready = ready_class_maps()
        if given not in ready:
            raise ConfigError(f"no class map {given!r}: give a YAML file, or one of {', '.join(ready)}")
        path = ready[given]
    try:
        plain = read_yaml(path)
        return _class_map(plain, [c.name for c in classes], [c.color for c in classes])
    except (OSError, PlainFileError) as error:
        raise ConfigError(f"class map {path.name} cannot be read: {' '.join(str(error).split())}") from None
    except ConfigError as error:
        raise ConfigError(f"class map {path.name}: {error}") from None


def _class_map(plain: object, names: list[str], colors: list[tuple[int, int, int]]) -> ClassMap:
    if not isinstance(plain, dict) or not isinstance(plain.get("classes"), dict) or not plain["classes"]:
        raise ConfigError("it has no `classes`: write for example classes: {free: [road, pavement]}")
    if unknown := set(plain) - _KEYS:
        raise ConfigError(f"unknown keys {sorted(map(str, unknown))}: use {', '.join(sorted(_KEYS))}")
    skips = plain.get("skip_unknown", False)
    taken: dict = {}

    def sources_of(target: str, listed: object) -> tuple[int, ...]:
        found = []
        for name in _list(listed, target):
            if name not in names:
                if skips:
                    continue
                raise ConfigError(
                    f"{target!r} is made of {name!r}, which the model has not: use some of "
                    f"{', '.join(names)}, or skip_unknown: true"
                )
            if name in taken:
                raise ConfigError(f"{name!r} becomes both {taken[name]!r} and {target!r}: name it once")
            taken[name] = target
            found.append(names.index(name))
        return tuple(found)

    mapped, next_id = [], 0
    for target, entry in plain["classes"].items():
        entry = entry if isinstance(entry, dict) else {"of": entry}
        if unknown := set(entry) - _CLASS_KEYS:
            raise ConfigError(
                f"class {target!r} has unknown keys {sorted(map(str, unknown))}: use "
                f"{', '.join(sorted(_CLASS_KEYS))}"
            )
        sources, number = sources_of(str(target), entry.get("of", [])), entry.get("id", next_id)
        if type(number) is not int or not 0 <= number < IGNORE_LABEL:
            raise ConfigError(
                f"class {target!r} has id {number!r}: use 0 to {IGNORE_LABEL - 1}, "
                f"as {IGNORE_LABEL} is unlabelled"
            )
        color = entry.get("color", colors[sources[0]] if sources else _GREY)
        spec = ClassSpec(str(target), tuple(color) if isinstance(color, list) else color)
        mapped.append(MappedClass(number, spec.name, spec.color, sources))
        next_id = number + 1
    sources_of("ignored", plain.get("ignore", []))
    if repeated := {m.id for m in mapped if sum(m.id == other.id for other in mapped) > 1}:
        raise ConfigError(
            f"ids {sorted(repeated)} are given twice: classes of one id are one class, so list their sources "
            f"together"
        )
    return ClassMap(
        _with_rest(
            mapped, plain.get("rest"), [n for n, name in enumerate(names) if name not in taken], names
        ),
        len(names),
    )


def _with_rest(
    mapped: list[MappedClass], rest: object, left: list[int], names: list[str]
) -> tuple[MappedClass, ...]:
    """Assign all classes that are not listed to the class `rest`."""
    if rest is None:
        if left:
            raise ConfigError(
                f"it does not say what becomes of {', '.join(names[n] for n in left)}: name them in a class "
                "or in `ignore`, or name the class of all others as `rest`"
            )
        return tuple(mapped)
    if rest not in [m.name for m in mapped]:
        raise ConfigError(f"rest {rest!r} is not one of its classes {', '.join(m.name for m in mapped)}")
    return tuple(
        MappedClass(m.id, m.name, m.color, (*m.sources, *left)) if m.name == rest else m for m in mapped
    )


def _list(listed: object, target: str) -> list[str]:
    listed = [listed] if isinstance(listed, str) else [] if listed is None else listed
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise ConfigError(f"{target!r} is made of {listed!r}: give a list of the model's class names")
    return listed
