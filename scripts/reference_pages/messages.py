# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages, from msg/*.msg, where comments stand above the fields."""

from pathlib import Path

from reference_pages.markdown import code, table

MESSAGES = sorted((Path(__file__).parents[2] / "msg").glob("*.msg"))


def page() -> str:
    text = """# Messages

The messages of this package, `dcfm_ros/msg`. Durations are seconds; headers are those of the camera's image, unless it says otherwise.
"""
    for path in MESSAGES:
        about, fields, constants = read(path.read_text())
        text += f"\n## {path.stem}\n\n{about}\n\n{table(('field', 'type', 'meaning'), fields)}"
        if constants:
            text += f"\n{table(('constant', 'value', 'meaning'), constants)}"
    return text


def read(definition: str) -> tuple[str, list[tuple[str, ...]], list[tuple[str, ...]]]:
    """A definition's introduction, fields, and constants: (name, type or value, meaning) each."""
    introduction, _, rest = definition.partition("\n\n")
    comment: list[str] = []
    fields, constants = [], []
    for line in rest.splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif line.strip():
            kind, _, name = line.partition(" ")
            name, equals, value = name.partition("=")
            (constants if equals else fields).append(
                (code(name.strip()), code(value.strip('"') if equals else kind), " ".join(comment))
            )
            comment = []
        elif comment and not fields:  # a second paragraph of the introduction
            introduction += "\n" + "\n".join(comment)
            comment = []
    about = " ".join(line.removeprefix("#").strip() for line in introduction.splitlines())
    return about, fields, constants
