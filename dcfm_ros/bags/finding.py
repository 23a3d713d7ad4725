# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which recordings an argument of a command names, and what to call their results."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.names import METADATA_FILE, STORAGES, UNFINISHED, numbered, stands_for, storage_stem
from dcfm_ros.bags.storage import storage_files
from dcfm_ros.sources.errors import to_stderr
from dcfm_ros.sources.names import natural_key


def find_bags(patterns: Sequence[str | Path], leave_out: Path | None = None) -> list[Path]:
    """The recordings that are meant, each once, in natural order of their paths; BagError for a pattern
    without any.

    patterns: recordings, folders that hold recordings at any depth, and globs of these (`**` for any depth).
        A storage file or metadata.yaml inside a recording's folder means that recording, any other file
        itself; unfinished outputs are left out. A folder that cannot be read is a BagError; one inside of
        what is searched is passed over, with a line on stderr
    leave_out: a folder whose recordings are not meant: where results go
    """
    found: dict[Path, Path] = {}
    hidden = leave_out.resolve() if leave_out is not None else None
    for pattern in map(str, patterns):
        with _readable(pattern):
            bags = [bag for bag in _matches(pattern) if hidden is None or hidden not in bag.resolve().parents]
        if not bags:
            raise BagError(
                f"{pattern}: no recording there; give a folder with metadata.yaml, a file "
                f"{' or '.join(STORAGES)}, a "
                "folder that holds some, or a glob of these"
            )
        for bag in bags:
            found.setdefault(bag.resolve(), bag)
    return sorted(found.values(), key=lambda bag: natural_key(str(bag)))


def single_bag(pattern: str) -> str | None:
    """The recording that is itself named by this; None for a folder of several, or a glob. BagError where it
    cannot be read."""
    with _readable(pattern):
        path = stands_for(Path(pattern))
        several = (path.is_dir() and not is_bag(path)) or (not path.exists() and glob.has_magic(str(path)))
    return None if several else str(path)


def output_names(bags: Sequence[Path]) -> list[str]:
    """A name for each recording's results: its own, with as many folders above it as tell it from the
    others."""
    parts = [_name_parts(bag) for bag in bags]
    depths = [1] * len(bags)
    while True:
        names = ["_".join(part[-depth:]) for part, depth in zip(parts, depths)]
        counts = Counter(names)
        longer = [i for i, name in enumerate(names) if counts[name] > 1 and depths[i] < len(parts[i])]
        if not longer:
            return numbered(names)  # whole paths may become equal, as those of a/b_c and a_b/c
        for i in longer:
            depths[i] += 1


def is_bag(path: Path) -> bool:
    """Whether this is a recording: a storage file, a folder with metadata.yaml, or what a dead recorder left
    of one."""
    if path.name.endswith(UNFINISHED):
        return False
    if path.is_file():
        return bool(storage_stem(path.name))
    if not path.is_dir():
        return False
    return (path / METADATA_FILE).is_file() or _left_by_a_recorder(path)


def _left_by_a_recorder(folder: Path) -> bool:
    """Recorders call the files drive/drive_0.mcap, or drive/drive.mcap, and write metadata.yaml at their end.
    A file alone in its folder, with no folders beside it, is that recording under whatever name."""
    files = storage_files(folder)
    if len(files) == 1 and not any(path.is_dir() for path in folder.iterdir()):
        return True
    return bool(files) and all(
        re.fullmatch(re.escape(folder.resolve().name) + r"(_\d+)?", storage_stem(file.name)) for file in files
    )


@contextmanager
def _readable(pattern: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BagError(
            f"{pattern} cannot be read: {error.strerror}; get access to it, or give another"
        ) from error


def _matches(pattern: str) -> list[Path]:
    if Path(pattern).exists():
        return _meant(Path(pattern), given=True)
    return _readable_of(map(Path, glob.glob(pattern, recursive=True)), _meant)


def _meant(path: Path, given: bool = False) -> list[Path]:
    """Recordings that a path means. given: whatever file it is, opening it tells."""
    path = stands_for(path)
    if any(folder.name.endswith(UNFINISHED) for folder in path.parents):
        return []
    if path.is_dir():
        return _search(path, set())
    if is_bag(path):
        return [path.parent if is_bag(path.parent) else path]
    return [path] if given and path.is_file() else []


def _search(path: Path, seen: set[Path]) -> list[Path]:
    """The recording at a path, or those in a folder; a folder that links lead to twice is searched once."""
    if is_bag(path):
        return [path]
    if not path.is_dir() or path.name.endswith(UNFINISHED) or path.resolve() in seen:
        return []
    seen.add(path.resolve())
    return _readable_of(path.iterdir(), lambda inside: _search(inside, seen))


def _readable_of(paths: Iterable[Path], bags_of: Callable[[Path], list[Path]]) -> list[Path]:
    """The recordings of all paths but those that cannot be read, which are told."""
    found = []
    for path in paths:
        try:
            found += bags_of(path)
        except OSError as error:
            to_stderr(f"{path} cannot be read ({error.strerror}): passed over")
    return found


def _name_parts(bag: Path) -> tuple[str, ...]:
    """Of its path without the root; files of one name and several storages differ by what is made a folder
    here."""
    path = bag.resolve()
    parts = path.parts[1:]
    if path.is_dir() or not (stem := storage_stem(path.name)):
        return parts
    return (*parts[:-1], path.name[len(stem) + 1 :], stem)
