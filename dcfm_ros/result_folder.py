# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a command's results: those of an earlier run stay until the new ones are complete."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dcfm_ros.files import output_folder, unwritable
from dcfm_ros.interrupts import deferred_signals

_UNFINISHED = ".unfinished"


@contextmanager
def result_folder(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """An empty folder to write a command's results into, which are moved into `folder` at the end.

    names: files and folders that the command may write. Those of an earlier run go when the new ones come;
        whatever else lies in `folder` is the user's

    After an error or an interrupt everything is as before. Raises OSError where another process writes there,
    or the folder cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _locked(output_folder(folder)):
            # Inside, since a folder that is mounted can neither be renamed nor have a neighbour.
            unfinished = folder / _UNFINISHED
            new, old = unfinished / "new", unfinished / "old"
            shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
            try:
                for part in (unfinished, new, old):
                    part.mkdir()
                yield new
                with deferred_signals():
                    _replace(folder, names, new, old)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    finally:
        for path in made:  # the innermost first; those with something in them stay
            with suppress(OSError):
                path.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing results to this folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OSError(
            f"another process is writing its results to {folder}: wait for its end, or give another folder "
            "with --out"
        ) from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def _replace(folder: Path, names: Collection[str], new: Path, old: Path) -> None:
    """Move the new results into the folder, and those of the earlier run out of it; after an error the
    earlier ones are back."""
    moved: list[tuple[Path, Path]] = []
    try:
        for name in sorted({*names, *(path.name for path in new.iterdir())}):
            for source, target in ((folder / name, old / name), (new / name, folder / name)):
                if source.exists() or source.is_symlink():
                    os.rename(source, target)
                    moved.append((source, target))
    except OSError as error:
        for source, target in reversed(moved):
            with suppress(OSError):  # the error itself is what is reported
                os.rename(target, source)
        raise unwritable(folder, error) from error
