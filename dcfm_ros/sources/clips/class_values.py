# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of `classes.yaml` that says what the pixels of label pictures mean: `labels`, `ignore`, and the
`values` of classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.label_values import COLOURS, IDS, MAX_VALUE, Colour, LabelValues, counted

_IGNORE, _REST = "ignore", "rest"
_Meanings = tuple[tuple[int, ...], tuple[Colour, ...]]  # label values and colours


def read_label_values(path: Path, content: Mapping[str, Any], table: ClassTable) -> LabelValues:
    """Return what the file says about label pictures.

    content: the whole file, of which `classes` has been checked but for their `values`
    """
    kind = content.get("labels", "")
    if kind not in ("", IDS, COLOURS):
        raise SourceError(f"{path}: labels is {kind}; give {IDS} or {COLOURS}, or leave it out")
    names = tuple(name for name, _ in table)
    given = [
        _meanings(path, f"values of {name}", entry["values"], kind) if "values" in entry else None
        for name, entry in zip(names, content["classes"])
    ]
    rest = content.get(_IGNORE) == _REST
    ignored, ignored_colours = ((), ()) if rest else _meanings(path, _IGNORE, content.get(_IGNORE, []), kind)
    values = _values(path, names, given, kind)
    _refuse_two_meanings(path, names, values, ignored)
    found = LabelValues(
        names, values, _colours(table, given), ignored, ignored_colours, rest, kind, str(path)
    )
    # Else classes may share a colour: it matters when there is a label picture in colours.
    in_colours = kind == COLOURS or ignored_colours or any(entry[1] for entry in given if entry)
    if in_colours and (shared := found.shared_colour()):
        raise SourceError(f"{path}: {shared}; in label pictures a color has one meaning")
    return found


def is_colour(value: object) -> bool:
    """Return whether this is red, green and blue of 0 to 255."""
    return isinstance(value, list) and len(value) == 3 and all(is_whole(v) and 0 <= v <= 255 for v in value)


def is_whole(value: object) -> bool:
    """Return whether this is a whole number, which YAML's yes and no are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _meanings(path: Path, where: str, given: Any, kind: str) -> _Meanings:
    """Return the label values and colours that are given: one, or a list of them. Three numbers are one
    colour where all labels are colours, and else three values."""
    alone = not isinstance(given, list) or (kind == COLOURS and is_colour(given))
    entries = [given] if alone else given
    values = tuple(entry for entry in entries if is_whole(entry) and 0 <= entry <= MAX_VALUE)
    colours: tuple[Colour, ...] = tuple(tuple(entry) for entry in entries if is_colour(entry))
    if len(values) + len(colours) < len(entries):
        wrong = next(entry for entry in entries if entry not in values and not is_colour(entry))
        raise SourceError(
            f"{path}: {where} is {wrong}; give label values of 0 to {MAX_VALUE}, or colors such as "
            f"[128, 64, 128]{f', or {_REST}' if where == _IGNORE else ''}"
        )
    unfit = colours if kind == IDS else values if kind == COLOURS else ()
    if unfit:
        one = unfit[0] if isinstance(unfit[0], int) else list(unfit[0])
        fit = "label values, 0 for one" if kind == IDS else "colors, [128, 64, 128] for one"
        raise SourceError(
            f"{path}: {where} is {one}, but the file says `labels: {kind}`; give {fit}, or leave `labels` out"
        )
    return values, colours


def _values(path, names, given: list[_Meanings | None], kind) -> tuple[tuple[int, ...], ...]:
    """Return the label values of each class: those given, or its number if no class has any."""
    if kind == COLOURS or not any(entry is not None and (entry[0] or not entry[1]) for entry in given):
        return counted(len(names))
    if None in given:
        raise SourceError(
            f"{path}: {names[given.index(None)]} has no values, but other classes have; give values to all "
            "classes (`values: []` if no label has it), or to none"
        )
    return tuple(() if entry is None else entry[0] for entry in given)


def _colours(table: ClassTable, given: list[_Meanings | None]) -> tuple[tuple[Colour, ...], ...]:
    """Return the colours of each class in label pictures: those given, or `color`."""
    return tuple(
        (colour,) if entry is None or (entry[0] and not entry[1]) else entry[1]
        for entry, (_, colour) in zip(given, table)
    )


def _refuse_two_meanings(path, names, values, ignored):
    hint = "; a color has brackets of its own, [[0, 0, 0]]" if len(ignored) == 3 else ""
    if values == counted(len(names)) and (taken := [value for value in ignored if value < len(names)]):
        raise SourceError(
            f"{path}: ignore is {taken[0]}; give a label value that no class has, {len(names)} to 255 (to "
            f"{MAX_VALUE} in 16-bit pictures), or give the classes `values` of their own{hint}"
        )
    owners: dict[int, str] = {}
    for owner, numbers in (*zip(names, values), (_IGNORE, ignored)):
        for number in numbers:
            if number in owners:
                raise SourceError(
                    f"{path}: the value {number} is that of {owners[number]} and of {owner}; a value has "
                    f"one meaning{hint}"
                )
            owners[number] = owner
