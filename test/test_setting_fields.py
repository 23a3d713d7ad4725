# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of settings: values of their type, bounds and choices are taken, others refused by a message. The
words of refusals are tested here, once for each rule."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from dataclasses import MISSING, dataclass, fields
from enum import Enum

import pytest

import dcfm_ros
from dcfm_ros.setting_fields import (
    ConfigError,
    SettingError,
    check,
    choices_of,
    description_of,
    hint_of,
    like,
    metadata_of,
    setting,
    setting_of,
)


class Kind(str, Enum):
    ONE = "one"
    TWO = "two"


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Settings:
    count: int = 0
    rate: float = 0.0
    on: bool = False
    name: str = ""
    limit: int | None = None
    names: tuple[str, ...] = ()
    color: tuple[int, int, int] = (0, 0, 0)
    inner: Inner = Inner()
    kind: Kind = Kind.ONE
    word: str = setting("a", "a word", choices=("", "a", "b"))
    words: tuple[str, ...] = setting(("a",), "words", choices=("a", "b"))
    interval: int = setting(2, "frames between keyframes", low=1, high=1000, unit="frames")
    share: float = setting(0.5, "share of time", above=0, high=1)
    probability: float = setting(0.5, "probability", low=0, below=1)
    between: float = setting(0.5, "between both", above=0, below=1)
    most: float = setting(1.0, "at most", high=3)
    under: float = setting(1.0, "under", below=3)
    seconds: float | None = setting(None, "time", above=0, unit="seconds")
    frames: int = setting(5, "frames", low=1)
    budget: float = setting(0.0, "at most", low=0.01, high=1000, zero="no bound")
    size: tuple[int, int] | None = setting(None, "height and width", low=32, high=8192, unit="pixels")

    def __post_init__(self):
        check(self)


@pytest.mark.parametrize(
    "name, value, taken",
    [
        ("count", -3, -3),
        ("rate", 2, 2),
        ("rate", 0.5, 0.5),
        ("rate", "1e-5", 1e-5),
        ("rate", "-2.5E+3", -2500.0),
        ("on", True, True),
        ("name", "1e-5", "1e-5"),
        ("limit", 3, 3),
        ("limit", None, None),
        ("names", ["a", "b"], ("a", "b")),
        ("color", [1, 2, 3], (1, 2, 3)),
        ("inner", Inner(3), Inner(3)),
        ("kind", "two", Kind.TWO),
        ("word", "", ""),
        ("words", [], ()),
        ("interval", 1000, 1000),
        ("share", 1, 1),
        ("probability", 0, 0),
        ("budget", 0, 0),
        ("size", [32, 8192], (32, 8192)),
    ],
)
def test_values_of_the_type(name, value, taken):
    found = getattr(Settings(**{name: value}), name)
    assert found == taken and type(found) is type(taken)


@pytest.mark.parametrize(
    "name, value, wanted",
    [
        ("count", 1.0, "a whole number"),
        ("count", True, "a whole number"),
        ("count", "1", "a whole number"),
        ("rate", "fast", "a number"),
        ("rate", "0.5", "a number"),
        ("rate", False, "a number"),
        ("rate", None, "a number"),
        ("rate", float("inf"), "a number"),
        ("on", 1, "true or false"),
        ("on", "yes", "true or false"),
        ("name", 5, "text"),
        ("limit", 1.5, "a whole number, or leave it out"),
        ("names", "a", "a list, each entry text"),
        ("names", ["a", 1], "a list, each entry text"),
        ("color", [1, 2], "a list of 3, each entry a whole number"),
        ("inner", {"size": 1}, "settings of Inner"),
        ("kind", "three", "one of one, two"),
        ("kind", 1, "one of one, two"),
        ("word", "c", "one of a, b"),
        ("interval", 0, "1 to 1000 frames"),
        ("interval", 1001, "1 to 1000 frames"),
        ("interval", 2.5, "a whole number"),
        ("share", 0.0, "a value above 0 and up to 1"),
        ("share", float("nan"), "a value above 0 and up to 1"),
        ("probability", 1.0, "0 to below 1"),
        ("between", 1.0, "a value above 0 and below 1"),
        ("most", 3.5, "3 or less"),
        ("under", 3.0, "a value below 3"),
        ("seconds", 0.0, "a value above 0 seconds"),
        ("frames", 0, "1 or more"),
        ("budget", 0.001, "0.01 to 1000, or 0 for no bound"),
    ],
)
def test_other_values_are_named(name, value, wanted):
    with pytest.raises(ConfigError) as error:
        Settings(**{name: value})
    assert str(error.value).startswith(f"{name} {value!r}: use {wanted}")


def test_entries_are_named():
    with pytest.raises(ConfigError, match="^words 'c': use some of a, b$"):
        Settings(words=["a", "c"])
    with pytest.raises(ConfigError, match="^size 16x64: use 32 to 8192 pixels$"):
        Settings(size=(16, 64))


def test_a_refusal_can_be_pickled():
    """Worker processes send theirs."""
    error = pickle.loads(pickle.dumps(SettingError("interval", "0", "1 to 1000 frames")))
    assert str(error) == "interval 0: use 1 to 1000 frames" and error.name == "interval"


def test_a_field_like_another():
    @dataclass
    class Other:
        interval: int = like(Settings, "interval")
        share: float = like(Settings, "share", 1.0, description="another share")

    assert setting_of(Other, "interval") == setting_of(Settings, "interval")
    default, known = setting_of(Other, "share")
    assert (default, known.description, known.high) == (1.0, "another share", 1)


def test_what_a_field_says():
    assert hint_of(Settings, "limit") == (int, True) and hint_of(Settings, "count") == (int, False)
    assert choices_of(Settings, "kind") == ("one", "two") and choices_of(Settings, "count") == ()
    assert choices_of(Settings, "words") == ("a", "b")


def test_choices_stand_in_the_description_once():
    @dataclass
    class Described:
        way: str = setting("a", "a (slow) or b", choices=("a", "b"))
        form: str = setting("auto", "the form; auto: a", choices=("auto", "a", "b"))

    assert description_of(Described, "way") == "a (slow) or b"
    assert description_of(Described, "form") == "the form (auto, a, b); auto: a"


def settings_classes():
    """All dataclasses of the package with fields that are settings."""
    found = {}
    for module in pkgutil.walk_packages(dcfm_ros.__path__, "dcfm_ros."):
        if module.name.split(".")[-1] not in ("config", "options", "settings", "augment", "fleet"):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            known = getattr(kind, "__dataclass_fields__", {})
            if isinstance(kind, type) and any(metadata_of(field).description for field in known.values()):
                found[kind.__qualname__] = kind
    return found


@pytest.mark.parametrize("kind", settings_classes().values(), ids=lambda kind: kind.__name__)
def test_defaults_lie_in_their_bounds_and_everything_is_described(kind):
    for field in fields(kind):
        known = metadata_of(field)
        if field.default is not MISSING and known.bounds and field.default is not None:
            entries = field.default if isinstance(field.default, tuple) else (field.default,)
            assert all(known.allows(entry) for entry in entries), field.name
        if known.description:
            assert known.description[-1] != "." and known.description[0] != " ", field.name
