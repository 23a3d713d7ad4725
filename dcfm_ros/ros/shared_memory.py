# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS's shared memory: the segment size that fits into /dev/shm, and the cases in which it carries
nothing.

A participant (a process with nodes) allocates its whole segment at startup. Without enough room, Fast DDS
continues without shared memory and loses most large images. Shared memory of another user can be neither read
nor written, which Fast DDS does not report.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from dcfm_ros.ros.dds import domain, domain_ports, is_fast_dds, is_local

SHARED_MEMORY = Path("/dev/shm")
SMALL_PROFILE, UDP_PROFILE = "fastdds_small.xml", "fastdds_udp.xml"  # in the folder of fastdds.xml
# Versions from 3 (Kilted) read the first, older ones (Jazzy) the second.
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_MIB = 2**20
_DEFAULT_BYTES = _MIB // 2  # Fast DDS's own segment
_ROOMY_BYTES = 256 * _MIB  # has room for large segments of seven participants
_OVERHEAD_BYTES = 3 * _MIB  # of a participant besides its segment: descriptors, ports, a default segment


def dds_environment(profile: Path) -> dict[str, str]:
    """Return environment variables that make Fast DDS carry large images over shared memory; empty if the
    user has an own profile."""
    if not profile.is_file() or (_profile() and not _is_same(Path(_profile()), profile)):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(fitting(profile)))


def fitting(profile: Path, shared_memory: Path = SHARED_MEMORY) -> Path:
    """Return this profile, or the one with small segments if /dev/shm is small: Docker gives a container 64
    MiB."""
    small = profile.with_name(SMALL_PROFILE)
    try:
        total = _size(shared_memory)[0]
    except OSError:
        return profile
    return small if total < _ROOMY_BYTES and small.is_file() else profile


def lack_of_room(shared_memory: Path = SHARED_MEMORY) -> str:
    """Return a warning if /dev/shm has no room for this process's segment, otherwise ""."""
    profile, wanted = _profile(), _segment_bytes()
    try:
        free = _size(shared_memory)[1] if os.access(shared_memory, os.W_OK) else 0
    except OSError:
        free = 0
    if not is_fast_dds() or not wanted or free >= wanted + _OVERHEAD_BYTES:
        return ""
    taker = profile or "Fast DDS"
    return (
        f"{shared_memory} has {free / _MIB:.0f} MiB left, of which {taker} takes {wanted / _MIB:.1f} MiB for "
        "each process: without shared memory DDS loses large images. Give a container more (docker run "
        "--shm-size=512m, or --ipc=host), or remove what killed processes have left (fastdds shm clean)"
    )


def room_for_images(shared_memory: Path = SHARED_MEMORY) -> str:
    """Return the remedy for large images that get lost in transport, as the end of a sentence."""
    try:
        total = _size(shared_memory)[0]
    except OSError:
        total = 0
    if is_fast_dds() and total < _ROOMY_BYTES and (segment := _segment_bytes()):
        return (
            f"of the {total / _MIB:.0f} MiB of {shared_memory} a process takes {segment / _MIB:.1f} MiB, too "
            "little for such images: give the container more (docker run --shm-size=512m, or --ipc=host)"
        )
    return (
        "give the camera's process config/fastdds.xml, too, or where an image has more than 16 MiB a copy of "
        "it with a larger segment_size (docs/live.md)"
    )


class ForeignUsers:
    """Finds processes of other users in this ROS domain on this machine, with which shared memory cannot be
    used."""

    def __init__(self, shared_memory: Path = SHARED_MEMORY):
        self._folder = shared_memory
        self._reported: set = set()
        self._watches = is_fast_dds() and bool(_segment_bytes())

    def hint(self) -> str:
        """Return a warning about other users' processes that exist now; "" if there are none."""
        return _warning_about(self._users())

    def new_warning(self) -> str:
        """Same as `hint`, for users who have appeared since the last call."""
        users = self._users() - self._reported
        self._reported |= users
        return _warning_about(users)

    def _users(self) -> set[int]:
        if not self._watches:
            return set()
        return {owner for port, owner in self._ports() if owner != os.getuid() and _is_held(port)}

    def _ports(self):
        """Yield (file on which its owner holds a lock, user id) of each port of this domain."""
        ports = domain_ports()
        try:
            for file in os.scandir(self._folder):
                number = re.fullmatch(r"fastrtps_port(\d+)_el", file.name)
                if number and int(number[1]) in ports:
                    yield Path(file.path), file.stat().st_uid
        except OSError:  # removed meanwhile
            return


def _warning_about(users: set[int]) -> str:
    if not users:
        return ""
    names = " and ".join(f"user id {user}" for user in sorted(users))
    return (
        f"ROS domain {domain()} has processes of {names}, and this one is of user id {os.getuid()}: between "
        "users shared memory carries neither images nor masks; run all as one user, or set "
        f"ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET and FASTRTPS_DEFAULT_PROFILES_FILE to {UDP_PROFILE}, which "
        "lies beside fastdds.xml (docs/deployment.md)"
    )


def _is_held(lock: Path) -> bool:
    """Return whether a living process holds the lock; killed processes leave the file."""
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)  # releases the lock
    return False


def _is_same(one: Path, other: Path) -> bool:
    """Return whether both paths are the same file, following links."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _size(folder: Path) -> tuple[int, int]:
    """Return (total bytes, free bytes)."""
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _profile() -> str:
    return next((os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)), "")


def _segment_bytes() -> int:
    """Return the largest segment that this process allocates; 0 if it uses no shared memory."""
    wanted = _wanted_bytes()
    # With this setting ROS itself adds a segment of the default size.
    return max(wanted, _DEFAULT_BYTES) if is_local() else wanted


def _wanted_bytes() -> int:
    """Return the segment size of the profile or, without one, of the variable that selects transports."""
    if not _profile():
        return (
            0
            if os.environ.get("FASTDDS_BUILTIN_TRANSPORTS", "").upper().startswith("UDP")
            else _DEFAULT_BYTES
        )
    try:
        text = re.sub(r"<!--.*?-->", "", Path(_profile()).read_text(), flags=re.DOTALL)
    except OSError:
        return _DEFAULT_BYTES  # Fast DDS logs an error and uses its defaults
    if size := re.search(r"<segment_size>\s*(\d+)", text):
        return int(size[1])
    return 0 if re.search(r"<useBuiltinTransports>\s*false", text) and "SHM" not in text else _DEFAULT_BYTES
