# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes the place of `folder` at the end; an older one of that name
    goes then.

    After an error everything is as before. Nothing is left behind either way. An OSError names the folder.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent)
        )  # on the same disk, to be renamed
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        part, old = aside / "new", aside / "old"
        part.mkdir()  # not `aside` itself, which its owner alone may read
        yield part
        if folder.exists():
            os.rename(folder, old)
        try:
            os.rename(part, folder)
        except OSError:
            if old.exists():
                os.rename(old, folder)
            raise
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> OSError:
    return OSError(f"{folder} could not be written ({error}): free space there or give another folder")
