# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Templates of pages, and what they share: style, and how figures are written."""

from __future__ import annotations

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


def inline(name: str) -> Markup:
    """A style sheet or script of this folder, to stand in a page as it is."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))
