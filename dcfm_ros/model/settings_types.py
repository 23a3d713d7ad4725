# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Types of settings: dataclasses check what YAML and the command line hand them against their own
annotations."""

from __future__ import annotations

import math
import re
import types
import typing
from dataclasses import fields
from functools import cache

# YAML 1.1, which PyYAML reads, takes a number with an exponent for text unless it has a point: 1e-5, but
# 1.0e-5.
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text (in quotes where YAML sees none)",
}


class ConfigError(ValueError):
    """A configuration value that cannot be used; the message names the value and the remedy."""


def check_types(settings) -> None:
    """Refuse values of a dataclass that are not of their annotated types; the ConfigError names setting,
    value and type.

    For the first line of `__post_init__`. Lists become tuples, and text such as 1e-5 becomes the float that
    YAML should have read; whole numbers are floats, too, but true and false are no numbers.
    """
    hints = _hints(type(settings))
    for field in fields(settings):
        value, hint = getattr(settings, field.name), hints[field.name]
        try:
            found = _checked(value, hint)
        except TypeError:
            raise ConfigError(f"{field.name} {value!r}: use {_wanted(hint)}") from None
        if found is not value:
            object.__setattr__(settings, field.name, found)  # of frozen dataclasses, too


_hints = cache(typing.get_type_hints)


def _checked(value, hint):
    """`value` as what it means; a TypeError where it is not of the type."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):  # optional
        return None if value is None else _checked(value, parts[0])
    if kind is tuple:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        kinds = parts[:1] * len(value) if parts[-1] is ... else parts
        if len(kinds) != len(value):
            raise TypeError
        return tuple(map(_checked, value, kinds))
    if hint is float:
        if isinstance(value, str) and _EXPONENT.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise TypeError
        return value
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise TypeError
    return value


def _wanted(hint) -> str:
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        return f"{_wanted(parts[0])}, or leave it out"
    if kind is tuple:
        return f"a list{'' if parts[-1] is ... else f' of {len(parts)}'}, each entry {_wanted(parts[0])}"
    return _WANTED.get(hint, f"settings of {hint.__name__}")
