# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of recordings: BagError for their content; OSError if the system fails, which may succeed on a
retry."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw


class BagError(ValueError):
    """A recording that cannot be opened, read or written; the message names the recording and the remedy."""


@contextmanager
def read_errors_for(path: Path) -> Iterator[None]:
    """Raise errors of the system as an OSError that names the file; a missing permission, which no retry
    changes, as BagError."""
    try:
        yield
    except apsw.IOError as error:
        raise OSError(errno.EIO, f"cannot read {path}: {error}") from error
    except PermissionError as error:
        raise BagError(
            f"{path} may not be read by this user ({os.strerror(error.errno) if error.errno else error}): "
            "change its permissions, or copy it"
        ) from error
    except OSError as error:
        raise OSError(
            error.errno, f"cannot read {path}: {os.strerror(error.errno) if error.errno else error}"
        ) from error
