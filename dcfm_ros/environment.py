# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where this process may write, also where no home folder can be written: containers, services, read-only
disks.

Only the standard library, so that it comes before the libraries that look for their folders while they are
imported.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from functools import cache
from pathlib import Path

_log = logging.getLogger(__name__)


@cache
def prepare() -> bool:
    """Where the user's cache folder cannot be written, give this process, its libraries and its children one
    in the temporary folder. What the user has set for a library stays. Returns whether there is a cache
    folder now."""
    usual = user_cache()
    if usual is not None and is_writable(usual):
        return True
    why = (
        f"{usual} cannot be written"
        if usual
        else f"user {os.getuid()} has neither HOME nor an account with a home folder"
    )
    place = temporary_folder()
    if place is None:
        say_once(
            f"{why}, nor is there a private folder in the temporary one: nothing is cached, and starts take "
            f"longer. "
            "Set XDG_CACHE_HOME to a folder of yours"
        )
        return False
    say_once(f"{why}: caches go to {place}; set XDG_CACHE_HOME to a folder of yours to keep them elsewhere")
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")  # numba's, OpenVINO's and our own
    for name in ("MPLCONFIGDIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        os.environ.setdefault(name, str(place / "cache" / name.split("_")[0].lower()))
    return True


def user_cache() -> Path | None:
    """The user's cache folder, which need not exist; None where it is not said."""
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder)
    return None if home() is None else home() / ".cache"


def home() -> Path | None:
    """HOME, else the account's home folder; None where there is neither, as for `docker run --user 12345`."""
    folder = os.path.expanduser("~")
    return Path(folder) if os.path.isabs(folder) else None


@cache
def temporary_folder() -> Path | None:
    """A folder of this user alone in the temporary folder; None where there is none.

    Everyone can write to the temporary folder, and caches hold code: a folder of another user, or one that is
    open to others, is not used.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"dcfm_ros-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if is_private and is_writable(folder) else None


def is_writable(folder: Path) -> bool:
    """Can files be made in this folder or, if it does not exist, in the one that it would be made in?

    By trying: access rights do not tell of file systems that are read-only or full.
    """
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def say_once(text: str) -> None:
    _log.warning("dcfm_ros: %s", text)
