# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Says whether other users can have put something into a folder: caches hold code and compiled networks, and
are read from nowhere else.

Standard library only, as `environment.py` needs it before the import of other libraries.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_ROOT = 0


def why_untrusted(folder: Path, files: bool = False) -> str:
    """Return why this folder, which may not exist yet, is not to be trusted, in words; empty if it is.

    It and the folders above, up to the user's home or, for a folder elsewhere, up to /, must belong to this
    user or to root, and others must not be able to write to them. A folder such as /tmp, in which everyone
    can write but nobody rename what is another's, may be above. A link must lie in and lead to such folders.

    files: what lies directly in it, too
    """
    try:
        chains = {*_chain(Path(os.path.abspath(folder))), *_chain(Path(os.path.realpath(folder)))}
        inside = sorted(folder.iterdir()) if files and folder.is_dir() else []
        for path in (*sorted(chains), *inside):
            if fault := _fault(path, may_be_shared=path in chains and path != folder):
                return fault
    except OSError as error:
        return f"{error.filename} cannot be looked at ({error.strerror})"
    return ""


def close(folder: Path) -> None:
    """Take the right to write from others, of a folder and of the files directly in it."""
    for path in (folder, *folder.iterdir()):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o022)


def make_closed(folder: Path) -> None:
    """Make a folder, and those above it that do not exist, to which only this user can write."""
    if not folder.is_dir():
        make_closed(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _chain(path: Path) -> list[Path]:
    """Return the folder and those above it, up to the user's home if it lies there."""
    home = Path(os.path.expanduser("~"))
    chain = [path, *path.parents]
    for end in (home, Path(os.path.realpath(home))):
        if end in chain and end != Path("/"):
            return chain[: chain.index(end) + 1]
    return chain


def _fault(path: Path, may_be_shared: bool) -> str:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if found.st_uid not in (_ROOT, os.getuid()):
        return f"{path} belongs to user {found.st_uid}"
    if stat.S_ISLNK(found.st_mode) or (may_be_shared and found.st_mode & stat.S_ISVTX):
        return ""
    if found.st_mode & stat.S_IWOTH:
        return f"every user can write to {path}"
    if found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid):
        return f"the users of group {found.st_gid} can write to {path}"
    return ""


def _is_private(group: int) -> bool:
    """Return whether nobody else is in a group: of root, or one of the user's own, as many distributions
    make for each user together with a umask of 002."""
    if group == _ROOT:
        return True
    try:
        import grp
        import pwd

        user, known = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
    except (ImportError, KeyError):
        return False
    return user.pw_gid == group and known.gr_name == user.pw_name and set(known.gr_mem) <= {user.pw_name}
