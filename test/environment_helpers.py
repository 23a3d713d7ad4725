# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Environments that are not a developer's: other users, read-only disks, small shared memory,
little memory. Needs root."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

STRANGER = 54321  # a user id without an account
# Reads everything, as the interpreter may lie in root's home folder, and writes nothing but its own.
_DROP = ["setpriv", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def as_user(command: list[str], user: int = STRANGER) -> list[str]:
    """This command under another user id; skips the test where that cannot be done."""
    drop = [*_DROP, f"--reuid={user}", f"--regid={user}"]
    _need([*drop, "true"], "another user")
    return [*drop, *command]


def in_namespace(setup: str, command: list[str]) -> list[str]:
    """This command after shell commands that change what is mounted, for it alone; skips where that cannot be
    done."""
    script = f"mount --make-rprivate / && {setup}"
    wrapped = ["unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh"]
    _need([*wrapped, "true"], "a mount namespace")
    return [*wrapped, *command]


def shared_memory(size: str) -> str:
    return f"mount -t tmpfs -o mode=1777,size={size} tmpfs /dev/shm"


def read_only(*, but: str) -> str:
    """Everything read-only but one folder and /dev/shm, as `docker run --read-only` makes it."""
    but = shlex.quote(str(but))
    disks = (
        "for disk in / /tmp /var/tmp; do ! mountpoint -q $disk || mount -o bind,remount,ro $disk || exit 1; "
        "done"
    )
    return f"{shared_memory('1g')} && mount --bind {but} {but} && {{ {disks}; }}"


@contextmanager
def memory_limit(mib: int) -> Iterator[MemoryLimit]:
    """A limit of memory for processes together, as a container has; skips where that cannot be had. They have
    to have ended before it does."""
    root = Path("/sys/fs/cgroup")
    first = (root / "memory").is_dir()  # version 1 of cgroups
    name = f"dcfm_test_{os.getpid()}"
    limit = MemoryLimit(root / "memory" / name if first else root / name, first)
    try:
        limit.folder.mkdir()
    except OSError as error:
        pytest.skip(f"a cgroup cannot be made here: {error}")
    try:
        try:
            limit.set(mib)
        except OSError as error:
            pytest.skip(f"a cgroup has no limit of memory here: {error}")
        yield limit
    finally:
        limit.folder.rmdir()


class MemoryLimit(NamedTuple):
    """A cgroup's limit of memory, with no swap space beside it."""

    folder: Path
    first: bool  # version 1 of cgroups

    def set(self, mib: int) -> None:
        names = ("limit_in_bytes", "memsw.limit_in_bytes") if self.first else ("max", "swap.max")
        limit, swap = (self.folder / f"memory.{name}" for name in names)
        text = str(mib << 20)
        with suppress(OSError):  # the first must not be above the second at any time
            limit.write_text(text)
        if swap.exists():
            swap.write_text(text if self.first else "0")
        limit.write_text(text)

    def under(self, command: list[str]) -> list[str]:
        """This command, with all that it starts, under the limit."""
        enter = f'echo $$ > {shlex.quote(str(self.folder))}/cgroup.procs && exec "$@"'
        return ["sh", "-c", enter, "sh", *command]


def open_folder(folder: Path) -> Path:
    """A temporary folder that everyone may write to, as /tmp. (pytest's own lies where only root may
    look.)"""
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def bare(**variables: str) -> dict[str, str]:
    """This process's environment with only what finds the package, as after sourcing a setup file in a
    service."""
    kept = (
        "PATH",
        "PYTHONPATH",
        "PYTHONSAFEPATH",
        "LD_LIBRARY_PATH",
        "AMENT_PREFIX_PATH",
        "VIRTUAL_ENV",
        "ROS_DOMAIN_ID",
        "ROS_AUTOMATIC_DISCOVERY_RANGE",
        "ROS_DISTRO",
        "RMW_IMPLEMENTATION",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
    )
    return {**{name: os.environ[name] for name in kept if name in os.environ}, **variables}


def _need(command: list[str], what: str) -> None:
    if os.getuid() != 0 or shutil.which(command[0]) is None:
        pytest.skip(f"{what} needs root and {command[0]}")
    tried = subprocess.run(command, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"{what} cannot be had here: {tried.stderr.strip()}")
