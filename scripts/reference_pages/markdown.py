# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables and code in Markdown."""

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell(text) for text in line)} |\n" for line in lines)


def cell(text: str) -> str:
    """Text that stays in its cell: one line, no bars, and no angle brackets that would be taken for HTML."""
    text = re.sub(r"\s+", " ", text).strip().replace("|", "\\|")
    return re.sub(r"(`[^`]*`)|<(?=\w)", lambda match: match[1] or "&lt;", text)


def code(text: object) -> str:
    return f"`{text}`"


def sentence(text: str) -> str:
    """With a capital letter, unless it begins with a name, a full stop, and links to the pages it names."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\bdocs/(\w+)\.md", r"[\1](../\1.md)", text)
    if not text:
        return ""
    first = text[0].upper() if re.match(r"[a-z]+\b(?![_\[])", text) else text[0]  # not of mono8 and the like
    return first + text[1:] + ("" if text[-1] in ".!?" else ".")
