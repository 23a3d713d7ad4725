# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Output files and folders: atomic writing, and what is said of a place that cannot be written.

What is written here is complete or not there at all, also after an error, an interrupt or a crash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


def output_folder(folder: Path) -> Path:
    """Create a command's output folder and its parents where they do not exist. An OSError names the folder
    if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the folder {folder} ({error.strerror}): give another one with --out"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"cannot write to the folder {folder} (permission denied): give another one with --out")
    return folder


def sha256_of(*files: Path, before: bytes = b"") -> str:
    """Return the digest of `before` and the content of files, one after the other."""
    digest = hashlib.sha256(before)
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def unwritable(path: Path, error: object) -> OSError:
    """The error that says which path could not be written, why, and what to do."""
    return OSError(f"{path} could not be written ({error}): free space there or give another folder")


@contextmanager
def atomic_files(*paths: Path) -> Iterator[Sequence[Path]]:
    """Temporary files beside `paths` to write to; at the end they are flushed to the disk and renamed, in
    this order.

    After an error the old files are there as before, and nothing where there was none.
    """
    parts = [path.with_name(f"{path.name}.part") for path in paths]
    new = [path for path in paths if not path.exists()]
    try:
        for part in parts:
            _begin(part)
        yield parts
        for part in parts:
            flush(part)  # a rename may otherwise outlive what was written
        for part, path in zip(parts, paths):
            os.replace(part, path)
    except BaseException:
        for path in (*parts, *new):
            with suppress(OSError):  # the error itself is what is reported
                path.unlink()
        raise


def _begin(part: Path) -> None:
    """Create an empty file of our own; a link that somebody has laid there would be followed."""
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def atomic_write(path: Path, text: str) -> None:
    """Replace a text file in one step, and wait until that is on the disk."""
    with atomic_files(path) as (part,):
        part.write_text(text)
    flush(path.parent)


@contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which replaces `folder` at the end.

    After an error everything is as before. Nothing is left behind either way. An OSError names the folder.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))  # can be renamed there
    except OSError as error:
        raise unwritable(folder, error) from error
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
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def flush(path: Path) -> None:
    """Wait until a file, or the list of files of a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
