# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""XML files of annotation tools are looked at before a tree is made of them: C code that frees a tree of a
hundred thousand levels ends the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.parsers import expat

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.unpack import Opened

_DEEPEST = 100  # elements within each other


def check(opened: Opened) -> None:
    """Raise DataImportError for a file with elements too deep within each other, or with entities of its
    own."""
    for file in opened.ending_in(".xml"):
        _check(file, opened.name_of(file))


def _check(file: Path, name: str) -> None:
    depth = 0

    def begin(*_: Any) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DataImportError(
                f"{name} has more than {_DEEPEST} elements within each other: export it again"
            )

    def end(*_: Any) -> None:
        nonlocal depth
        depth -= 1

    def entity(*_: Any) -> None:
        raise DataImportError(f"{name} defines entities, which no tool exports: it was tampered with")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = begin, end, entity
    try:
        with file.open("rb") as stream:
            parser.ParseFile(stream)
    except expat.ExpatError as error:
        raise DataImportError(
            f"{name} is no whole XML file ({error}): download or export it again"
        ) from error
