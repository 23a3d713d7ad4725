# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of settings dataclasses: each says its default, description, unit, bounds and choices once.

YAML configurations, command lines and ROS parameters read the same fields. Standard library only: launch
files and help texts need them where PyTorch is not installed.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from enum import Enum
from functools import cache
from typing import Any

_KEY = "dcfm_ros"  # of a field's metadata
# YAML 1.1, which PyYAML reads, takes a number with an exponent for text unless it has a point: 1e-5, but
# 1.0e-5.
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_LONGEST_SHOWN = 200
_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text (in quotes where YAML sees none)",
}


class ConfigError(ValueError):
    """A configuration value that cannot be used; the message names the value and the remedy."""


class SettingError(ConfigError):
    """A value that its own field refuses, whatever the other settings are."""

    def __init__(self, name: str, value: str, remedy: str):
        super().__init__(f"{name} {value}: use {remedy}")
        self.name, self.rest = name, f"{value}: use {remedy}"

    def __reduce__(self):  # errors of worker processes are pickled
        value, _, remedy = self.rest.partition(": use ")
        return SettingError, (self.name, value, remedy)


@dataclass(frozen=True)
class Setting:
    """What a field says about itself. Bounds and choices of a tuple are those of its entries."""

    description: str = ""  # begins in lower case, without a full stop
    unit: str = ""  # as in `use 1 to 1000 frames`
    low: float | None = None
    high: float | None = None
    open_low: bool = False  # the bound itself is not allowed
    open_high: bool = False
    zero: str = ""  # what 0 means, where it is allowed beside the bounds
    choices: tuple[str, ...] = ()
    # On the command line (cli/arguments.py):
    option: str = ""  # `--its-name` where empty; several, as in `-o --out`
    positional: bool = False
    hidden: bool = False  # no argument at all
    required: bool = False  # there, although the dataclass has a default
    repeat: bool = False  # given once for each entry of a tuple, which else has commas
    several: bool = False  # likewise, or followed by several entries
    may_be_empty: bool = False
    metavar: str = ""
    parse: Callable[[str], Any] | None = None

    @property
    def bounds(self) -> str:
        """In words, with the unit: `1 to 1000 frames, or 0 for no bound`; empty where there are none."""
        low, high = (None if bound is None else _plain(bound) for bound in (self.low, self.high))
        if low is None and high is None:
            return ""
        if low is None:
            text = f"a value below {high}" if self.open_high else f"{high} or less"
        elif high is None:
            text = f"a value above {low}" if self.open_low else f"{low} or more"
        elif self.open_low:
            text = f"a value above {low} and {'below' if self.open_high else 'up to'} {high}"
        else:
            text = f"{low} to {'below ' if self.open_high else ''}{high}"
        text += f" {self.unit}" if self.unit else ""
        return text + (f", or 0 for {self.zero}" if self.zero else "")

    def allows(self, number: float) -> bool:
        """Does it lie within the bounds?"""
        if self.zero and number == 0:
            return True
        low, high = self.low, self.high
        return (low is None or number > low or (number == low and not self.open_low)) and (
            high is None or number < high or (number == high and not self.open_high)
        )


def setting(
    default: Any = MISSING,
    description: str = "",
    *,
    above: float | None = None,
    below: float | None = None,
    factory: Any = MISSING,
    **about: Any,
) -> Any:
    """A field of a settings dataclass; without a default the setting must be given.

    above, below: bounds that are not allowed themselves
    about: others of `Setting`
    """
    if above is not None:
        about |= {"low": above, "open_low": True}
    if below is not None:
        about |= {"high": below, "open_high": True}
    return _field(default, factory, Setting(description, **about))


def like(kind: type, name: str, default: Any = MISSING, **changes: Any) -> Any:
    """A field as another dataclass has it, with its default unless another is given."""
    origin = _fields(kind)[name]
    if default is not MISSING:
        return _field(default, MISSING, replace(metadata_of(origin), **changes))
    return _field(origin.default, origin.default_factory, replace(metadata_of(origin), **changes))


def metadata_of(known: Field) -> Setting:
    """What the field says; an empty Setting for a field that is none."""
    return known.metadata.get(_KEY, Setting())


def hint_of(kind: type, name: str) -> tuple[Any, bool]:
    """The type of a setting without its `| None`, and whether it has that."""
    return _optional(_hints(kind)[name])


def is_size(hint: Any) -> bool:
    """Is a setting of this type a size, (height, width)?"""
    return typing.get_args(hint) == (int, int)


def choices_of(kind: type, name: str) -> tuple[str, ...]:
    """The values that a setting may have, where they can be listed."""
    hint, _ = hint_of(kind, name)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(choice.value for choice in hint)
    return metadata_of(_fields(kind)[name]).choices


def description_of(kind: type, name: str) -> str:
    """What the field says, with the choices where it does not name them all."""
    text, choices = metadata_of(_fields(kind)[name]).description, choices_of(kind, name)
    if all(re.search(rf"\b{re.escape(choice)}\b", text) for choice in choices):
        return text
    first, semicolon, rest = text.partition(";")
    return f"{first} ({', '.join(choice for choice in choices if choice)}){semicolon}{rest}"


def setting_of(kind: type, name: str) -> tuple[Any, Setting]:
    """Default of a setting (MISSING where it has none), and what it says."""
    known = _fields(kind)[name]
    made = known.default_factory() if known.default_factory is not MISSING else known.default
    return made, metadata_of(known)


def check(settings: Any) -> None:
    """Refuse values of a dataclass that are not of their annotated types, out of bounds or no choice; the
    SettingError names setting, value and remedy.

    For the first line of `__post_init__`. Lists become tuples, text becomes the choice of an Enum, and text
    such as 1e-5 becomes the float that YAML should have read; whole numbers are floats, too, but true and
    false are no numbers.
    """
    kind: Any = type(settings)
    for name, known in _fields(kind).items():
        value = getattr(settings, name)
        found = checked(name, value, _hints(kind)[name], metadata_of(known))
        if found is not value:
            object.__setattr__(settings, name, found)  # of frozen dataclasses, too


def checked(name: str, value: Any, hint: Any, known: Setting) -> Any:
    """The value that is meant. Raises SettingError."""
    plain, _ = _optional(hint)
    try:
        found = _typed(value, hint)
    except TypeError:
        # a number that is none, such as nan, of a setting with bounds
        bounds = known.bounds if plain is float and type(value) is float else ""
        raise SettingError(name, _shown(value, plain), bounds or _wanted(hint)) from None
    except ValueError:
        raise SettingError(
            name, _shown(value, plain), f"one of {', '.join(choice.value for choice in plain)}"
        ) from None
    entries = found if isinstance(found, tuple) else () if found is None else (found,)
    if known.choices and (wrong := [entry for entry in entries if entry not in known.choices]):
        which = "some" if isinstance(found, tuple) else "one"
        choices = ", ".join(choice for choice in known.choices if choice)
        raise SettingError(name, repr(wrong[0]), f"{which} of {choices}")
    if known.bounds and (wrong := [entry for entry in entries if not known.allows(entry)]):
        raise SettingError(name, _shown(found if is_size(plain) else wrong[0], plain), known.bounds)
    return found


def _field(default: Any, factory: Any, known: Setting) -> Any:
    metadata = {_KEY: known}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    if default is not MISSING:
        return field(default=default, metadata=metadata)
    return field(metadata=metadata)


_hints = cache(typing.get_type_hints)


@cache
def _fields(kind: type) -> dict[str, Field]:
    return {known.name: known for known in fields(kind)}


def _optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)[0], True
    return hint, False


def _plain(bound: float) -> str:
    """A bound without an exponent where it is whole."""
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"


def _shown(value: Any, plain: Any) -> str:
    """A value in a message; a size as in 480x853."""
    if is_size(plain) and isinstance(value, tuple) and list(map(type, value)) == [int, int]:
        return f"{value[0]}x{value[1]}"
    return short(value)


def short(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _typed(value: Any, hint: Any) -> Any:
    """`value` as what it means; a TypeError where it is not of the type, a ValueError where it is no choice
    of an Enum."""
    plain, optional = _optional(hint)
    if optional:
        return None if value is None else _typed(value, plain)
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is tuple:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        kinds = parts[:1] * len(value) if parts[-1] is ... else parts
        if len(kinds) != len(value):
            raise TypeError
        return tuple(map(_typed, value, kinds))
    if issubclass(hint, Enum):
        return hint(value)
    if hint is float:
        if isinstance(value, str) and _EXPONENT.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise TypeError
        return value
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise TypeError
    return value


def _wanted(hint: Any) -> str:
    plain, optional = _optional(hint)
    if optional:
        return f"{_wanted(plain)}, or leave it out"
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is tuple:
        return f"a list{'' if parts[-1] is ... else f' of {len(parts)}'}, each entry {_wanted(parts[0])}"
    return _WANTED.get(hint, f"settings of {hint.__name__}")
