# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Types of settings: values are taken as annotated, or refused by a message."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dcfm_ros.model.settings_types import ConfigError, check_types


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

    def __post_init__(self):
        check_types(self)


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
    ],
)
def test_other_values_are_named(name, value, wanted):
    with pytest.raises(ConfigError) as error:
        Settings(**{name: value})
    assert str(error.value).startswith(f"{name} {value!r}: use {wanted}")
