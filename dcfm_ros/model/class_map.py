# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The classes of published masks: a model's own, or those that a class map merges, renames, renumbers or
ignores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml

from dcfm_ros.config_folders import ready_class_maps
from dcfm_ros.model.config import ClassSpec, ConfigError

IGNORED = 255  # the mask value of pixels without a class
_GREY = (128, 128, 128)
_KEYS = {"classes", "ignore", "rest", "skip_unknown"}
_CLASS_KEYS = {"of", "id", "color"}


@dataclass(frozen=True)
class MappedClass:
    """One class of published masks. sources: ids of the model's classes that it is made of; there may be
    none."""

    id: int
    name: str
    color: tuple[int, int, int]  # RGB, 0..255
    sources: tuple[int, ...]


@dataclass(frozen=True)
class ClassMap:
    """How the ids of a model become those of the masks. Ids of the model that no class names are ignored."""

    classes: tuple[MappedClass, ...]
    model_classes: int  # number of the model's classes

    @classmethod
    def of_model(cls, classes: Sequence[ClassSpec]) -> ClassMap:
        """The model's own classes, unchanged."""
        return cls(
            tuple(MappedClass(number, c.name, c.color, (number,)) for number, c in enumerate(classes)),
            len(classes),
        )

    @cached_property
    def table(self) -> np.ndarray:
        """(256,) uint8: the mask value of every id of the model; IGNORED for those that are none."""
        table = np.full(256, IGNORED, np.uint8)
        for mapped in self.classes:
            table[list(mapped.sources)] = mapped.id
        return table

    def indices(self, ids: np.ndarray) -> np.ndarray:
        """Ids of the model, uint8, as indices in `classes`; ignored ones and IGNORED itself are IGNORED.
        Raises ValueError for ids that the model has not."""
        unknown = (ids >= self.model_classes) & (ids != IGNORED)
        if unknown.any():
            raise ValueError(
                f"holds the id {ids[unknown][0]}, but there are {self.model_classes} classes; mark "
                f"unlabelled pixels with "
                f"{IGNORED}"
            )
        return self._indices_of_model[ids]

    def indices_of_published(self, mask: np.ndarray) -> np.ndarray:
        """Values of a published mask, uint8, as indices in `classes`; IGNORED stays so."""
        return self._indices[mask]

    @cached_property
    def _indices_of_model(self) -> np.ndarray:
        """(256,) uint8: the index in `classes` of every id of the model; IGNORED for those that become
        none."""
        return self._indices[self.table]

    @cached_property
    def _indices(self) -> np.ndarray:
        """(256,) uint8: the index in `classes` of every mask value; IGNORED for those that are no class."""
        indices = np.full(256, IGNORED, np.uint8)
        indices[[mapped.id for mapped in self.classes]] = range(len(self.classes))
        return indices

    @cached_property
    def colors(self) -> np.ndarray:
        """(256, 3) uint8 RGB: the colour of every mask value; black for those that are no class."""
        colors = np.zeros((256, 3), np.uint8)
        for mapped in self.classes:
            colors[mapped.id] = mapped.color
        return colors

    @cached_property
    def groups(self) -> np.ndarray:
        """(model's classes,) int64: the index in `classes` of the class that each of the model's becomes; -1:
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
        """Are there classes of several of the model's, or ignored ones? Probabilities then have to be
        summed."""
        return any(len(mapped.sources) != 1 for mapped in self.classes) or bool((self.groups < 0).any())

    def by_name(self, name: str) -> MappedClass:
        """Raises ConfigError for a name that is no class."""
        for mapped in self.classes:
            if mapped.name == name:
                return mapped
        raise ConfigError(
            f"no class {name!r}: use some of {', '.join(mapped.name for mapped in self.classes)}"
        )


def read_class_map(given: str, classes: Sequence[ClassSpec]) -> ClassMap:
    """The class map of that name or in that YAML file, for a model's classes; the model's own where `given`
    is empty.

    Raises ConfigError for a map that cannot be read, names classes twice or none at all, or does not say what
        becomes of one.
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
        plain = yaml.safe_load(path.read_text())
        return _class_map(plain, [c.name for c in classes], [c.color for c in classes])
    except (OSError, UnicodeError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"class map {path.name} cannot be read: {' '.join(str(error).split())}") from None
    except ConfigError as error:
        raise ConfigError(f"class map {path.name}: {error}") from None


def _class_map(plain: object, names: list[str], colors: list[tuple[int, int, int]]) -> ClassMap:
    if not isinstance(plain, dict) or not isinstance(plain.get("classes"), dict) or not plain["classes"]:
        raise ConfigError("it has no `classes`: write, say, classes: {free: [road, pavement]}")
    if unknown := set(plain) - _KEYS:
        raise ConfigError(f"unknown keys {sorted(map(str, unknown))}: use {', '.join(sorted(_KEYS))}")
    skips, taken = plain.get("skip_unknown", False), {}

    def sources_of(target: str, listed: object) -> tuple[int, ...]:
        found = []
        for name in _list(listed, target):
            if name not in names:
                if skips:
                    continue
                raise ConfigError(
                    f"{target!r} is made of {name!r}, which the model has not: use some of "
                    f"{', '.join(names)}, or "
                    "skip_unknown: true"
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
        if type(number) is not int or not 0 <= number < IGNORED:
            raise ConfigError(
                f"class {target!r} has id {number!r}: use 0 to {IGNORED - 1}, as {IGNORED} is unlabelled"
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
    """All that is not named becomes the class `rest`."""
    if rest is None:
        if left:
            raise ConfigError(
                f"it does not say what becomes of {', '.join(names[n] for n in left)}: name them in a class "
                f"or in "
                "`ignore`, or name the class of all others as `rest`"
            )
        return tuple(mapped)
    if rest not in [m.name for m in mapped]:
        raise ConfigError(f"rest {rest!r} is none of its classes {', '.join(m.name for m in mapped)}")
    return tuple(
        MappedClass(m.id, m.name, m.color, (*m.sources, *left)) if m.name == rest else m for m in mapped
    )


def _list(listed: object, target: str) -> list[str]:
    listed = [listed] if isinstance(listed, str) else [] if listed is None else listed
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise ConfigError(f"{target!r} is made of {listed!r}: give a list of the model's class names")
    return listed
