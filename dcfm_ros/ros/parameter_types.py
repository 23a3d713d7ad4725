# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Types of parameters: converts values as YAML reads them, with error messages for those that are invalid.

rclpy refuses the integer 1 for a float and the integer 20260101 for a folder name. So parameters are declared
with dynamic typing, and `typed` converts to the intended type, or says what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from enum import Enum
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from dcfm_ros.setting_fields import Setting, checked, description_of, metadata_of, setting_of

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """Declaration of a parameter. Its type is the default's; a tuple is a list of strings."""

    default: Value
    description: str
    low: float | None = None  # bounds of numbers, both or none
    high: float | None = None
    read_only: bool = False
    setting: Setting | None = None  # the field of a settings dataclass that it is made from


def declared_from(
    kind: type, read_only: bool = False, at_configure: Iterable[str] = ()
) -> dict[str, Declared]:
    """Return the parameters that are the fields of a settings dataclass, with their descriptions, choices and
    bounds. at_configure: those that take effect when the node is configured, which their descriptions say."""
    return {
        field.name: _declared(kind, field.name, read_only, field.name in at_configure)
        for field in fields(kind)
        if metadata_of(field).description
    }


def _declared(kind: type, name: str, read_only: bool, at_configure: bool) -> Declared:
    default, known = setting_of(kind, name)
    assert default is not MISSING, f"{kind.__name__}.{name} has no default"
    text = description_of(kind, name)
    text = f"{text[0].upper()}{text[1:]}."
    low, high = known.low, known.high
    if low is not None and known.zero:
        low = min(low, 0)
    if low is None or high is None:
        low = high = None
    return Declared(
        default.value if isinstance(default, Enum) else default,
        f"{text} Takes effect at configure." if at_configure else text,
        low,
        high,
        read_only,
        replace(known, choices=()),  # judged together with the other settings
    )


def declare(node: Node, parameters: Mapping[str, Declared]) -> None:
    """Declare the parameters that are not declared yet. Like a value of a wrong type, one that is out of
    range is accepted at the start: `typed` refuses it, and another can be set."""
    for name, parameter in parameters.items():
        if node.has_parameter(name):
            continue
        default: object = parameter.default
        if isinstance(parameter.default, tuple):
            # rclpy takes an empty list for one of bytes: a single empty name stands for an empty list.
            default = list(parameter.default) or [""]
        node.declare_parameter(
            name,
            default,
            ParameterDescriptor(
                description=parameter.description, read_only=parameter.read_only, dynamic_typing=True
            ),
        )
        declared = node.describe_parameter(name)  # as rclpy keeps it
        if parameter.low is None or parameter.high is None:
            continue
        if isinstance(parameter.default, float):
            declared.floating_point_range = [
                FloatingPointRange(from_value=float(parameter.low), to_value=float(parameter.high))
            ]
        else:
            declared.integer_range = [
                IntegerRange(from_value=int(parameter.low), to_value=int(parameter.high), step=1)
            ]


def declare_fixed(node: Node, name: str, default: Value, description: str) -> Any:
    """Declare a read-only parameter and return its value. Raises the errors of `typed`."""
    parameter = Declared(default, description, read_only=True)
    declare(node, {name: parameter})
    return typed(name, node.get_parameter(name).value, parameter)


def typed(name: str, value: object, parameter: Declared) -> Any:
    """The value that is meant, of the default's type. Raises ValueError, naming value and remedy, for one
    that cannot be used.

    value: of the parameter in ROS; None is what ROS makes of an empty list.
    """
    default = parameter.default
    if isinstance(default, tuple):
        if value is None:
            return ()
        if (
            isinstance(value, str)
            or not isinstance(value, Iterable)
            or not all(isinstance(item, str) for item in value)
        ):
            raise ValueError(
                f"{name} {value!r}: use a list of names, in quotes where YAML reads another thing: ['on', "
                f"'y']"
            )
        return tuple(item for item in value if item)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} {value!r}: use true or false")
        return value
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        if type(value) is int:  # a folder that is named by a date
            return str(value)
        raise ValueError(
            f"{name} {value!r}: a name is needed, and YAML reads another thing here: write it in quotes"
            if value is not None
            else f"{name} is empty: give it a value"
        )
    if isinstance(value, bool) or not isinstance(value, (int, float) if isinstance(default, float) else int):
        raise ValueError(
            f"{name} {value!r}: use a {'number' if isinstance(default, float) else 'whole number'}"
        )
    known = parameter.setting or Setting(low=parameter.low, high=parameter.high)
    return checked(name, type(default)(value), type(default), known)
