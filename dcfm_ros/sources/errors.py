# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one kind of error that sources raise, and where they say what is no error but should be known."""

import sys


class SourceError(ValueError):
    """A source that cannot be opened or read; the message names it and the remedy."""


def to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
