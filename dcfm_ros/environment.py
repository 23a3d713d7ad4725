# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds folders that this process can write to and others cannot, even without a writable home: containers,
services, read-only disks.

Standard library only, as it has to run before the import of libraries that determine their folders on import.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from functools import cache
from pathlib import Path

from dcfm_ros.trusted_folders import why_untrusted

_log = logging.getLogger(__name__)

# Variables of libraries with a cache of their own, and where it is without them: below the cache folder or,
# with ~, in the home folder. What numba and Triton keep is run.
_LIBRARIES = {
    "NUMBA_CACHE_DIR": "numba",
    "TRITON_CACHE_DIR": "~/.triton",
    "MPLCONFIGDIR": "",
    "TORCHINDUCTOR_CACHE_DIR": "",
}


@cache
def prepare() -> bool:
    """If the user's cache folder is not writable, or others can write to it, redirect caches of this process,
    its libraries and its children to a private folder in the temporary folder. Settings of the user for a
    library stay, unless others can write there. Return whether there is a cache folder now."""
    usual = user_cache()
    why = (
        f"user {os.getuid()} has neither HOME nor an account with a home folder"
        if usual is None
        else why_untrusted(usual) or ("" if is_writable(usual) else f"{usual} cannot be written")
    )
    if usual is not None and not why:
        _check_libraries(usual)
        return True
    place = temporary_folder()
    if place is None:
        say_once(
            f"{why}, nor is there a private folder in the temporary one: nothing is cached, and starts take "
            "longer. Set XDG_CACHE_HOME to a folder of yours"
        )
        return False
    say_once(f"{why}: caches go to {place}; set XDG_CACHE_HOME to a folder of yours to keep them elsewhere")
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")  # numba's, OpenVINO's and our own
    for name in ("MPLCONFIGDIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        os.environ.setdefault(name, str(_library_folder(place, name)))
    _check_libraries(place / "cache")
    return True


def _check_libraries(usual: Path) -> None:
    """Redirect the caches of libraries to which others can write, wherever they are."""
    for name, subfolder in _LIBRARIES.items():
        found = os.environ.get(name) or (subfolder and os.path.expanduser(subfolder))
        folder = usual / found
        why = why_untrusted(folder) if found and not found.startswith("~") else ""
        if not why:
            continue
        place = temporary_folder()
        if place is None:
            say_once(f"{why}, and what others put there may be run: set {name} to a folder of yours")
        else:
            os.environ[name] = str(_library_folder(place, name))
            say_once(f"{why}: {name} is {os.environ[name]} instead; set it to a folder of yours to move it")


def _library_folder(place: Path, name: str) -> Path:
    return place / "cache" / name.split("_")[0].lower()


def user_cache() -> Path | None:
    """Return the user's cache folder, which may not exist; None if it is undefined."""
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder)
    found = home()
    return None if found is None else found / ".cache"


def home() -> Path | None:
    """Return HOME, or the account's home folder; None if there is neither, for example with `docker run
    --user 12345`."""
    folder = os.path.expanduser("~")
    return Path(folder) if os.path.isabs(folder) else None


@cache
def temporary_folder() -> Path | None:
    """Return a private folder of this user in the temporary folder; None if there is none.

    Everyone can write to the temporary folder, and caches contain code: a folder that belongs to another
    user, or that others can write to, is not used.
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
    """Return whether files can be created in this folder or, if it does not exist, in its nearest existing
    parent.

    It tries: access rights do not reveal read-only or full file systems.
    """
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def for_programs() -> dict[str, str]:
    """Return this process's environment variables, with which another Python finds this package as well."""
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


@cache
def say_once(text: str) -> None:
    """Log a warning once per process."""
    _log.warning("dcfm_ros: %s", text)
