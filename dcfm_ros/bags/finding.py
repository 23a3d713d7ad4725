# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Resolves command-line arguments to recordings, and names their results."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.names import METADATA_FILE, STORAGES, UNFINISHED, numbered, recording_path, storage_stem
from dcfm_ros.bags.storage import storage_files
from dcfm_ros.sources.errors import to_stderr
from dcfm_ros.sources.names import natural_key


def find_bags(patterns: Sequence[str | Path], leave_out: Path | None = None) -> list[Path]:
    """Return the recordings that the patterns name, each once, in natural order of their paths. Raises
    BagError for a pattern that names none.

    patterns: recordings, folders that contain recordings at any depth, and globs of these (`**` for any
        depth). A storage file or metadata.yaml inside a recording's folder stands for that recording, any
        other file for itself. Unfinished outputs are ignored. A folder that cannot be read is a BagError; a
        subfolder that cannot be read is skipped with a line on stderr
    leave_out: a folder whose recordings are ignored: where results are written
    """
    found: dict[Path, Path] = {}
    hidden = leave_out.resolve() if leave_out is not None else None
    for pattern in map(str, patterns):
        with _readable(pattern):
            bags = [bag for bag in _matches(pattern) if hidden is None or hidden not in bag.resolve().parents]
        if not bags:
            raise BagError(
                f"{pattern}: no recording found; give a folder with metadata.yaml, a file "
                f"{' or '.join(STORAGES)}, a folder that contains recordings, or a glob of these"
            )
        for bag in bags:
            found.setdefault(bag.resolve(), bag)
    return sorted(found.values(), key=lambda bag: natural_key(str(bag)))


def single_bag(pattern: str) -> str | None:
    """Return the recording that this names itself; None for a folder of several recordings, or a glob. Raises
    BagError if it cannot be read."""
    with _readable(pattern):
        path = recording_path(Path(pattern))
        several = (path.is_dir() and not is_bag(path)) or (not path.exists() and glob.has_magic(str(path)))
    return None if several else str(path)


def output_names(bags: Sequence[Path]) -> list[str]:
    """Return a name for each recording's results: its own name, preceded by as many parent folders as make it
    unique."""
    parts = [_name_parts(bag) for bag in bags]
    depths = [1] * len(bags)
    while True:
        names = ["_".join(part[-depth:]) for part, depth in zip(parts, depths)]
        counts = Counter(names)
        longer = [i for i, name in enumerate(names) if counts[name] > 1 and depths[i] < len(parts[i])]
        if not longer:
            return numbered(names)  # even whole paths may collide, for example a/b_c and a_b/c
        for i in longer:
            depths[i] += 1


def is_bag(path: Path) -> bool:
    """Return whether this is a recording: a storage file, a folder with metadata.yaml, or a folder whose
    recorder did not finish."""
    if path.name.endswith(UNFINISHED):
        return False
    if path.is_file():
        return bool(storage_stem(path.name))
    if not path.is_dir():
        return False
    return (path / METADATA_FILE).is_file() or _is_unclosed_bag(path)


def _is_unclosed_bag(folder: Path) -> bool:
    """Return whether this folder is a recording without metadata.yaml.

    Recorders name the files drive/drive_0.mcap, or drive/drive.mcap, and write metadata.yaml last. A folder
    that contains a single file, and no folders, is a recording whatever the file's name.
    """
    files = storage_files(folder)
    if len(files) == 1 and not any(path.is_dir() for path in folder.iterdir()):
        return True
    return bool(files) and all(
        re.fullmatch(re.escape(folder.resolve().name) + r"(_\d+)?", storage_stem(file.name)) for file in files
    )


@contextmanager
def _readable(pattern: str) -> Iterator[None]:
    """Raise an OSError in the block as a BagError that names the pattern."""
    try:
        yield
    except OSError as error:
        raise BagError(
            f"{pattern} cannot be read: {error.strerror}; change its permissions, or give another"
        ) from error


def _matches(pattern: str) -> list[Path]:
    """Return the recordings that a path or glob names."""
    if Path(pattern).exists():
        return _bags_at(Path(pattern), given=True)
    return _search_all(map(Path, glob.glob(pattern, recursive=True)), _bags_at)


def _bags_at(path: Path, given: bool = False) -> list[Path]:
    """Return the recordings that a path stands for. given: named by the user, so that any file is accepted;
    opening it will tell."""
    path = recording_path(path)
    if any(folder.name.endswith(UNFINISHED) for folder in path.parents):
        return []
    if path.is_dir():
        return _search(path, set())
    if is_bag(path):
        return [path.parent if is_bag(path.parent) else path]
    return [path] if given and path.is_file() else []


def _search(path: Path, seen: set[Path]) -> list[Path]:
    """Return the recording at a path, or those in a folder; a folder reached twice through links is searched
    once."""
    if is_bag(path):
        return [path]
    if not path.is_dir() or path.name.endswith(UNFINISHED) or path.resolve() in seen:
        return []
    seen.add(path.resolve())
    return _search_all(path.iterdir(), lambda inside: _search(inside, seen))


def _search_all(paths: Iterable[Path], bags_of: Callable[[Path], list[Path]]) -> list[Path]:
    """Return the recordings at all paths; paths that cannot be read are skipped with a line on stderr."""
    found = []
    for path in paths:
        try:
            found += bags_of(path)
        except OSError as error:
            to_stderr(f"{path} cannot be read ({error.strerror}): skipped")
    return found


def _name_parts(bag: Path) -> tuple[str, ...]:
    """Return the parts of the path without the root; the suffix of a storage file becomes a folder, so that
    files that differ only in it get different names."""
    path = bag.resolve()
    parts = path.parts[1:]
    if path.is_dir() or not (stem := storage_stem(path.name)):
        return parts
    return (*parts[:-1], path.name[len(stem) + 1 :], stem)
