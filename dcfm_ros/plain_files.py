# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads YAML and JSON files that may come from anyone: time, memory and what comes out are bounded.

Both formats let a small file ask for much: aliases of aliases in YAML become billions of entries when they
are printed or copied, brackets within brackets end the process in C code, and numbers of any length break
arithmetic that expects machine numbers.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MAX_YAML_BYTES = 1 << 24
MAX_DEPTH = 100  # entries within each other
MAX_NUMBER = 2**64  # whole numbers are smaller, whatever their sign
_FEW = 10_000  # entries that aliases may always become
_GROWTH = 10  # times more entries than are written, beyond that
_LONG_NUMBER, _ODD_ESCAPE = re.compile(rb"\d{19}"), re.compile(rb"\\u(0000|[dD][89a-fA-F])")
_SURROGATE_OR_NUL = re.compile("[\ud800-\udfff\0]")


class PlainFileError(ValueError):
    """Text that cannot be used; the message, in one line, says why and names no file."""


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds. Raises PlainFileError for its content, and OSError."""
    with path.open("rb") as file:
        return parse_yaml(file.read(MAX_YAML_BYTES + 1))


def check_yaml(path: Path) -> None:
    """Raise PlainFileError if a YAML file, or what its aliases make of it, is too long or nested too deep.

    For other readers, which would not come to its end; what else is wrong with it they can say. Raises
    OSError, too.
    """
    with path.open("rb") as file:
        data = file.read(MAX_YAML_BYTES + 1)
    _check_length(data)
    with suppress(yaml.YAMLError, UnicodeError):
        _measure(data.decode("utf-8-sig"))


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, in UTF-8 with or without a byte order mark. Raises PlainFileError for
    its content, and OSError."""
    return parse_json(path.read_bytes())


def parse_yaml(text: str | bytes) -> Any:
    """Return what text in YAML says. Raises PlainFileError."""
    _check_length(text)
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        _measure(text)
        found = yaml.load(text, _loader())
    except PlainFileError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise PlainFileError(_one_line(f"{place}{error.problem or error.context}")) from error
    except ValueError as error:  # no UTF-8, or a number or time that cannot be
        raise PlainFileError(_one_line(str(error).partition("; use sys.")[0])) from error
    except Exception as error:  # a tag such as !!bool before other text raises anything
        raise PlainFileError("it holds a value that is not of the type that its tag says") from error
    _check_text(found)
    return found


def parse_json(data: bytes) -> Any:
    """Return what JSON in UTF-8 says. Raises PlainFileError."""
    numbers: dict[str, Any] = {"parse_int": _whole} if _LONG_NUMBER.search(data) else {}
    try:
        found = json.loads(data.decode("utf-8-sig"), **numbers)
    except RecursionError as error:
        raise PlainFileError("its entries are nested too deep") from error
    except PlainFileError:
        raise
    except ValueError as error:
        raise PlainFileError(_one_line(str(error))) from error
    if _ODD_ESCAPE.search(data):
        _check_text(found)
    return found


def _check_length(text: str | bytes) -> None:
    if len(text) > MAX_YAML_BYTES:
        raise PlainFileError(f"it is longer than {MAX_YAML_BYTES >> 20} MiB")


def _measure(text: str) -> None:
    """Refuse what would become too much, before anything is made of it."""
    written = depth = 0
    total = 0  # entries, those of aliases as often as they are named
    anchors: dict[str, int] = {}  # entries by anchor
    open_ones: list[tuple[str, int]] = []  # anchor, and total before it
    for event in yaml.parse(text, _loader()):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:  # of an anchor that is still open: it would contain itself
                raise PlainFileError(f"line {line}: the alias *{event.anchor} has no anchor before it")
            total += anchors[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            written, total = written + 1, total + 1
            if event.anchor:
                anchors[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_ones.append((event.anchor or "", total))
            anchors.pop(event.anchor or "", None)
            written, total, depth = written + 1, total + 1, depth + 1
            if depth > MAX_DEPTH:
                raise PlainFileError(f"line {line}: its entries are nested too deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_ones.pop()
            depth -= 1
            if anchor:
                anchors[anchor] = total - before
        if total > max(_FEW, _GROWTH * written):
            raise PlainFileError(f"line {line}: aliases of aliases become too many entries")


@cache
def _loader() -> Any:
    """A safe loader that refuses long numbers; libyaml's, ten times faster, if available."""

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def whole(self, node: Any) -> int:
            value = self.construct_yaml_int(node)
            if abs(value) >= MAX_NUMBER:
                raise PlainFileError(f"line {node.start_mark.line + 1}: a whole number of more than 64 bits")
            return value

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.whole)
    return Loader


def _whole(text: str) -> int:
    if len(text) > 30 or abs(value := int(text)) >= MAX_NUMBER:
        raise PlainFileError("it holds a whole number of more than 64 bits")
    return value


def _check_text(tree: Any) -> None:
    """Refuse text that no file, name or message can hold."""
    waiting, seen = [tree], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if found := _SURROGATE_OR_NUL.search(value):
                raise PlainFileError(f"it holds text with the sign U+{ord(found[0]):04X}, which is none")
        elif isinstance(value, (dict, list)) and id(value) not in seen:
            seen.add(id(value))  # aliases
            waiting += [*value, *value.values()] if isinstance(value, dict) else value


def _one_line(text: str) -> str:
    """Return a library's message in one line of some length."""
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:297]}..."
