# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error that all sources raise, and the function for notes that are not errors."""

import sys


class SourceError(ValueError):
    """A source that cannot be opened or read; the message names the source and the remedy."""


def to_stderr(text: str) -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr, flush=True)
