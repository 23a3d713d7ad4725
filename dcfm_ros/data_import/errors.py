# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of exports that cannot be imported."""

import re

_MOST_SIGNS = 300  # of a cause: some quote what they were given


class DataImportError(ValueError):
    """An export that cannot be imported; the message names the file, what is wrong, and the remedy."""


def cause_of(error: BaseException) -> str:
    """Return the innermost cause of a library's error, in one line."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    text = re.sub(r"np\.\w+\(([^()]*)\)", r"\1", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:_MOST_SIGNS]}".rstrip(": ")
