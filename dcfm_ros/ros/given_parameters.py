# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was given to a node at its start and does nothing: misspelt parameters, and files for other nodes.

ROS ignores both without a word, as a file may be for several nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rclpy.node import Node

from dcfm_ros.plain_files import PlainFileError, check_yaml, read_yaml

_CLOSE = 0.8  # similarity of names from which one is taken for a misspelt other
_VALUES = "ros__parameters"  # the key below a node's name


def warn_of_unused(node: Node, arguments: Sequence[str]) -> None:
    """Log what was given in vain. arguments: of the command line"""
    for sentence in [*misspelt(node), *files_of_others(node.get_fully_qualified_name(), arguments)]:
        node.get_logger().warning(sentence)


def misspelt(node: Node) -> list[str]:
    """Return warnings about given parameters that the node does not have, with names similar to ones that it
    has."""
    known = list(node.get_parameters_by_prefix(""))
    given = getattr(node, "_parameter_overrides", ())  # private in rclpy: without it, no warnings
    # overrides of the QoS become parameters when a topic is subscribed
    unknown = sorted(name for name in given if name not in known and not name.startswith("qos_overrides."))
    close = {name: get_close_matches(name, known, 1, _CLOSE) for name in unknown}
    return [f"unknown parameter {name}: do you mean {found[0]}?" for name, found in close.items() if found]


def files_of_others(node: str, arguments: Sequence[str]) -> list[str]:
    """Return warnings about parameters files that have nothing for a node, by its fully qualified name."""
    sentences = []
    for file in parameters_files(arguments):
        try:
            names = list(_nodes(read_yaml(file)))
        except (OSError, ValueError):  # ROS has read it: not our concern
            continue
        if names and not any(_matches(name, node) for name in names):
            sentences.append(
                f"parameters file {file} has nothing for {node}: it names {', '.join(names[:3])}"
                f"{', …' if len(names) > 3 else ''}; /** means every node"
            )
    return sentences


def parameters_files(arguments: Sequence[str]) -> list[Path]:
    """Return the parameters files on a command line."""
    pairs = zip(arguments, arguments[1:])
    return [Path(value) for option, value in pairs if option == "--params-file"]


def why_too_much(arguments: Sequence[str]) -> str:
    """Return which parameters file ROS, which reads it in C, would take minutes for; empty if none."""
    for file in parameters_files(arguments):
        try:
            check_yaml(file)
        except PlainFileError as error:
            return f"{file}, {error}"
        except OSError:  # ROS says so
            continue
    return ""


def why_unreadable(arguments: Sequence[str]) -> str:
    """Return what is wrong with a parameters file that is not YAML, with its line; empty if they all are."""
    for file in parameters_files(arguments):
        try:
            read_yaml(file)
        except PlainFileError as error:
            mark = getattr(error.__cause__, "problem_mark", None)
            if mark is not None and _begins_with_a_tab(file, mark.line):
                return f"{file}, line {mark.line + 1}: it begins with a tab, and YAML takes spaces"
            return f"{file}, {error}"
        except OSError:
            continue
    return ""


def _begins_with_a_tab(file: Path, number: int) -> bool:
    lines = file.read_text().splitlines()
    return number < len(lines) and lines[number].lstrip(" ").startswith("\t")


def _nodes(tree: Any, above: str = "") -> Iterator[str]:
    """Yield the names of the nodes for which a file has parameters; they may be split over several levels."""
    if not isinstance(tree, dict):
        return
    for key, below in tree.items():
        if key == _VALUES:
            yield above or "/"
        else:
            yield from _nodes(below, f"{above}/{str(key).strip('/')}")


def _matches(pattern: str, node: str) -> bool:
    """Whether a name in a file, in which * stands for one part and ** for any number, is that of the node."""
    parts = [
        "(/[^/]+)*" if part == "**" else "/[^/]+" if part == "*" else "/" + re.escape(part)
        for part in pattern.strip("/").split("/")
    ]
    return re.fullmatch("".join(parts), node) is not None
