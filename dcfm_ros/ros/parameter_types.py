# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters and their types: the values that YAML makes of what people write, and sentences where they
cannot be used.

rclpy refuses the integer 1 for a float and the integer 20260101 for a folder's name. Such parameters are
declared with dynamic typing here, and `typed` takes what is meant, or says what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """A parameter as it is declared. Its type is the default's; a tuple is a list of strings."""

    default: Value
    description: str
    low: float | None = None  # bounds of numbers, both or none
    high: float | None = None
    read_only: bool = False


def declare(node: Node, parameters: Mapping[str, Declared]) -> None:
    """Those which are not declared yet. A value out of range is taken at the start as one of a wrong type is:
    `typed` refuses it, and another can be set."""
    for name, parameter in parameters.items():
        if node.has_parameter(name):
            continue
        default = parameter.default
        if isinstance(
            default, tuple
        ):  # rclpy takes an empty list for one of bytes: one empty name stands for none
            default = list(default) or [""]
        node.declare_parameter(
            name,
            default,
            ParameterDescriptor(
                description=parameter.description, read_only=parameter.read_only, dynamic_typing=True
            ),
        )
        declared = node.describe_parameter(name)  # as rclpy keeps it
        if isinstance(parameter.default, float):
            declared.floating_point_range = [
                FloatingPointRange(from_value=float(parameter.low), to_value=float(parameter.high))
            ]
        elif parameter.high is not None:
            declared.integer_range = [
                IntegerRange(from_value=int(parameter.low), to_value=int(parameter.high), step=1)
            ]


def declare_fixed(node: Node, name: str, default: Value, description: str) -> Value:
    """A parameter that is read once, at the start; its value. Raises as `typed`."""
    parameter = Declared(default, description, read_only=True)
    declare(node, {name: parameter})
    return typed(name, node.get_parameter(name).value, parameter)


def typed(name: str, value: object, parameter: Declared) -> Value:
    """The value that is meant. Raises ValueError, naming value and remedy, for one that cannot be used.

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
    value = type(default)(value)
    if parameter.high is not None and not parameter.low <= value <= parameter.high:
        raise ValueError(f"{name} {value}: use {parameter.low:g} to {parameter.high:g}")
    return value
