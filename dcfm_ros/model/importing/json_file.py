# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads settings that are stored beside weights."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros import plain_files
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.plain_files import PlainFileError


def read_json(path: Path) -> dict:
    """Return a file of settings by name; empty if there is none, for example if only the weights were
    given."""
    if not path.is_file():
        return {}
    try:
        content = plain_files.read_json(path)
    except PlainFileError as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); copy or download it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, expected settings by name; copy or download it again"
        )
    return content
