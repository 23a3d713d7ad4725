# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Templates of pages, and what they share: style, and how figures are written."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from dcfm_ros.reports.page import figures
from dcfm_ros.stamps import stamp_text

_HERE = Path(__file__).parent


def template(name: str, **filters) -> Template:
    """A template of this folder: text from outside is escaped, and a name that does not exist is an error.

    filters: beside those of `figures`
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=figures.percent,
        number=figures.number,
        duration=figures.duration,
        stamp=stamp_text,
        counts=figures.counts,
        plain=figures.plain,
        **filters,
    )
    return environment.get_template(name)


def visible(value: object) -> object:
    """Text with its control characters written out, such as \\x00 and \\u202e: a name must not turn the
    direction of the text around it, nor hide in it. Line ends and tabs stay."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(
        _written(sign) if unicodedata.category(sign) in ("Cc", "Cf", "Cs") and sign not in "\t\n" else sign
        for sign in value
    )


def _written(sign: str) -> str:
    return f"\\x{ord(sign):02x}" if ord(sign) < 0x100 else f"\\u{ord(sign):04x}"


def source_of(text: Markup) -> Markup:
    """A script of the page for its content security policy, which then lets no other run."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return Markup("'sha256-{}'").format(base64.b64encode(digest).decode("ascii"))


def inline(name: str) -> Markup:
    """A style sheet or script of this folder, to stand in a page as it is."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))
