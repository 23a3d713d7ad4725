# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of all nodes, from the tables from which the nodes declare them."""

import inspect
import re
from collections.abc import Mapping
from enum import Enum

from dcfm_ros.pipeline.backend_table import TABLE
from dcfm_ros.pipeline.settings import AksScore, Alignment, Mode, ThresholdRule, TurnTaking
from dcfm_ros.ros import camera_node, parameters, points_parameters
from dcfm_ros.ros.parameter_types import Declared
from reference_pages.markdown import code, sentence, table

_AT_CONFIGURE = "Takes effect at configure."
_TYPES = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "string list"}


def page() -> str:
    return f"""# Parameters

Which parameters each node has, with types, defaults and bounds. `ros2 param describe` shows the same.

Values that YAML reads otherwise go in quotes; [on a robot](../operation.md#names) has files, namespaces and relative topic names.

## Segmenter

| changes | when a new value takes effect |
| --- | --- |
| any time | at once |
| configure | when the node is configured: `ros2 lifecycle set /dcfm/segmenter deactivate`, `cleanup`, then set it, `configure`, `activate`. Until then a change is refused |
| start | it can only be given at the start |

A wrong value fails the transition, says what to do, and the node stays up. Of several `cameras` each has `<camera>.image_topic`, `<camera>.image_transport` and
`<camera>.camera_info_topic`. What most of them do is told in [method](../method.md#keyframe-scheduling), [other packages](../consumers.md) and [on a robot](../operation.md).

{_table(parameters.SEGMENTER)}
### Choices

{_choices()}
{_backends()}
The precision `auto` is what the processor is made for: f16 on a GPU, bf16 on a CPU that has it, else f32. bf16 changes about one pixel in a thousand.

## Points

[Labelled points](../points.md). All are read once, at the start.

{_table(points_parameters.PARAMETERS, False)}
## Camera

[The camera node](../camera_node.md). All are read once, at the start.

{_table(camera_node.PARAMETERS, False)}"""


def _choices() -> str:
    """The values of enums, with the comments behind or above them in the source."""
    kinds = {
        "mode": Mode,
        "turns": TurnTaking,
        "alignment": Alignment,
        "aks_score": AksScore,
        "threshold_rule": ThresholdRule,
    }
    return table(
        ("parameter", "value", "meaning"),
        [
            (code(name), code(choice.value), sentence(comment_of(choice)))
            for name, kind in kinds.items()
            for choice in kind
        ],
    )


def comment_of(choice: Enum) -> str:
    """The comment of an enum's member."""
    lines = inspect.getsource(type(choice)).splitlines()
    number = next(i for i, line in enumerate(lines) if re.match(rf"    {choice.name} = ", line))
    if lines[number].endswith("("):  # formatted over several lines
        number += 1
    behind = lines[number].partition("  # ")[2]
    above = []
    while not behind and (line := lines[number - 1 - len(above)].strip()).startswith("# "):
        above.insert(0, line[2:])
    return behind or " ".join(above)


def _backends() -> str:
    return table(
        ("backend", "runs on", "precisions", "what it is"),
        [
            (
                code(entry.name),
                " and ".join(place for place, target in _targets(entry)),
                "; ".join(f"{place}: {', '.join(target.precisions)}" for place, target in _targets(entry)),
                sentence(entry.description),
            )
            for entry in TABLE.values()
        ],
    )


def _targets(entry) -> list:
    return [(place, target) for place, target in (("CPU", entry.cpu), ("GPU", entry.gpu)) if target]


def _table(declared: Mapping[str, Declared], with_changes: bool = True) -> str:
    head = ("parameter", "type", "default", "bounds", *(("changes",) if with_changes else ()), "meaning")
    return table(head, [_row(name, known, with_changes) for name, known in declared.items()])


def _row(name: str, known: Declared, with_changes: bool) -> tuple[str, ...]:
    changes = (
        "start" if known.read_only else "configure" if _AT_CONFIGURE in known.description else "any time"
    )
    bounds = _bounds(known)
    meaning = sentence(known.description.replace(_AT_CONFIGURE, ""))
    return (
        code(name),
        _TYPES[type(known.default)],
        _default(known.default),
        bounds,
        *((changes,) if with_changes else ()),
        meaning,
    )


def _bounds(known: Declared) -> str:
    if known.setting is not None:
        return known.setting.bounds.removeprefix("a value ")
    return "" if known.high is None else f"{known.low} to {known.high}"


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(code, value)) or "none"
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(f"{value:g}" if isinstance(value, float) else value) if value != "" else "empty"
