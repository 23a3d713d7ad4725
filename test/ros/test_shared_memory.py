# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Large images in a small /dev/shm and between users, and what nodes say about it."""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from environment_helpers import STRANGER, as_user, bare, in_namespace, shared_memory
from ros_helpers import Process

from dcfm_ros.ros import shared_memory as checked

CONFIG = Path(get_package_share_directory("dcfm_ros")) / "config"
CAMERA = str(Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros" / "camera")
PEER = [sys.executable, str(Path(__file__).with_name("shared_memory_peer.py"))]
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
FAST_DDS = pytest.mark.skipif(not checked.is_fast_dds(), reason="of Fast DDS only")
pytestmark = FAST_DDS


@pytest.fixture(autouse=True)
def plain(monkeypatch, other_domain):
    for name in (*checked.PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)


# Both peers see the same /dev/shm, each with a user and a profile of its own.
_BOTH = """
peer() { user=$1 profile=$2; shift 2
  exec setpriv --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search --reuid=$user --regid=$user \\
    env ${profile:+FASTRTPS_DEFAULT_PROFILES_FILE="$profile"} "$@"; }
taker=$1 taker_profile=$2 sender=$3 sender_profile=$4; shift 4
(peer $taker "$taker_profile" "$@" take) & (peer $sender "$sender_profile" "$@" send); wait
"""


def taken(size: str, profiles: tuple[str, str], users=(STRANGER, STRANGER), reach="LOCALHOST") -> int:
    """How many of 30 images arrive from one process to another in a /dev/shm of this size. Pairs: taker,
    sender."""
    as_user(["true"])  # skips
    paths = [str(CONFIG / profile) if profile else "" for profile in profiles]
    sides = [part for user, path in zip(users, paths) for part in (str(user), path)]
    command = in_namespace(shared_memory(size), ["sh", "-c", _BOTH, "sh", *sides, *PEER])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=180,
        env=bare(ROS_AUTOMATIC_DISCOVERY_RANGE=reach, ROS_LOG_DIR="/tmp"),
    )
    assert "taken: " in done.stdout, done.stdout + done.stderr
    return int(done.stdout.split("taken: ")[1])


@pytest.mark.slow
@pytest.mark.parametrize("reach", ["LOCALHOST", "SUBNET"])
def test_large_images_in_64_mib(reach):
    profiles = (checked.SMALL_PROFILE, checked.SMALL_PROFILE)
    assert taken("64m", profiles, reach=reach) >= 29  # all, where the machine is not busy


@pytest.mark.slow
def test_large_images_from_another_user_with_the_udp_profile_on_one_side():
    bound = int(Path("/proc/sys/net/core/rmem_max").read_text())
    if bound < 4 * 2**20:
        pytest.skip(f"net.core.rmem_max is {bound}: no room for an image")
    assert taken("64m", (checked.UDP_PROFILE, ""), users=(STRANGER, STRANGER + 1), reach="SUBNET") >= 29


def test_the_profile_fits_the_size_of_shared_memory(monkeypatch):
    for size, name in ((64, checked.SMALL_PROFILE), (512, "fastdds.xml")):
        monkeypatch.setattr(checked, "_size", lambda folder, size=size: (size * 2**20, 0))
        assert checked.fitting(CONFIG / "fastdds.xml") == CONFIG / name
    assert checked.fitting(Path("/of/the/user.xml")) == Path("/of/the/user.xml")


@pytest.mark.parametrize("name", checked.PROFILE_VARIABLES)
def test_our_own_profile_is_fitted_where_it_was_exported_too(monkeypatch, tmp_path, name):
    """The profile of the camera driver, in a shell that later starts the segmenter in a container."""
    monkeypatch.setattr(checked, "_size", lambda folder: (64 * 2**20, 0))
    link = tmp_path / "link.xml"
    link.symlink_to(CONFIG / "fastdds.xml")
    monkeypatch.setenv(name, str(link))
    small = str(CONFIG / checked.SMALL_PROFILE)
    assert checked.dds_environment(CONFIG / "fastdds.xml") == dict.fromkeys(checked.PROFILE_VARIABLES, small)
    monkeypatch.setenv(name, str(CONFIG / checked.UDP_PROFILE))  # chosen
    assert checked.dds_environment(CONFIG / "fastdds.xml") == {}


@pytest.mark.parametrize(
    "total, profile, words",
    [
        (
            64,
            checked.SMALL_PROFILE,
            "of the 64 MiB of /dev/shm a process takes 8.0 MiB, too little for such images: give the "
            "container more",
        ),
        (64, checked.UDP_PROFILE, "config/fastdds.xml"),
        (2000, "fastdds.xml", "larger segment_size"),
        (2000, "", "config/fastdds.xml"),
    ],
)
def test_the_remedy_for_images_that_get_lost(monkeypatch, total, profile, words):
    monkeypatch.setattr(checked, "_size", lambda folder: (total * 2**20, 0))
    if profile:
        monkeypatch.setenv(PROFILE, str(CONFIG / profile))
    assert words in checked.room_for_images()


@pytest.mark.parametrize(
    "profile, free, warned",
    [
        ("fastdds.xml", 30, True),
        ("fastdds.xml", 40, False),
        (checked.SMALL_PROFILE, 9, True),
        (checked.SMALL_PROFILE, 12, False),
        (checked.UDP_PROFILE, 0, False),
        ("", 0, True),
        ("", 8, False),
    ],
)
def test_lack_of_room_is_said_before_images_are_lost(monkeypatch, profile, free, warned):
    if profile:
        monkeypatch.setenv(PROFILE, str(CONFIG / profile))
    monkeypatch.setattr(checked, "_size", lambda folder: (64 * 2**20, free * 2**20))
    text = checked.lack_of_room()
    assert bool(text) == warned
    assert not warned or (
        f"{free} MiB left" in text and "--shm-size" in text and "--ipc=host" in text and "\n" not in text
    )


def test_ros_itself_adds_shared_memory_where_only_this_machine_is_discovered(monkeypatch):
    monkeypatch.setattr(checked, "_size", lambda folder: (64 * 2**20, 0))
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    assert checked.lack_of_room() == ""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    assert checked.lack_of_room() != ""


def test_another_users_living_process_of_this_domain_is_noticed_once(tmp_path, monkeypatch):
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")

    def port(number, user, held):
        lock = tmp_path / f"fastrtps_port{number}_el"
        handle = lock.open("w")
        os.chown(lock, user, user)
        if held:
            fcntl.flock(handle, fcntl.LOCK_EX)
        return handle

    first = 7400 + 250 * 7
    kept = [port(first + 11, 0, True), port(first + 13, 1001, False), port(first + 250 + 11, 1002, True)]
    users = checked.ForeignUsers(tmp_path)
    assert users.new_warning() == ""  # our own; one whose process was killed; one of another domain
    kept.append(port(first + 15, 1003, True))
    text = users.new_warning()
    assert "user id 1003," in text and checked.UDP_PROFILE in text and "\n" not in text
    assert users.new_warning() == "" and users.hint() == text  # told once, and true as long as it lives
    kept.pop().close()
    assert users.hint() == ""


def camera(tmp_path, size: str, script: str, expected: str) -> None:
    """Run a script with cameras in a /dev/shm of this size until it says what is expected."""
    command = [
        "sh",
        "-c",
        f"trap : TERM; {script} wait; wait",
        "sh",
        CAMERA,
        "--ros-args",
        "-p",
        "width:=96",
        "-p",
        "height:=64",
    ]
    process = Process.__new__(Process)
    process.log = tmp_path / "log"
    with process.log.open("w") as output:
        process._process = subprocess.Popen(
            in_namespace(shared_memory(size), command),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=bare(
                ROS_LOG_DIR="/tmp",
                ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
                XDG_CACHE_HOME=str(tmp_path),
                **{PROFILE: str(CONFIG / checked.SMALL_PROFILE)},
            ),
        )
    try:
        process.wait_for_text(expected)
    finally:
        os.killpg(process._process.pid, signal.SIGTERM)
        process.wait()
    assert "Traceback" not in process.text()


@pytest.mark.slow
def test_nodes_of_two_users_name_each_other(tmp_path):
    tmp_path.chmod(0o1777)
    stranger = shlex.join(as_user(["HERE"])).replace("HERE", '"$@"')
    camera(tmp_path, "64m", f'"$@" & {stranger} &', f"this one is of user id {STRANGER}")


@pytest.mark.slow
def test_a_node_says_that_shared_memory_has_no_room(tmp_path):
    camera(tmp_path, "5m", '"$@" &', "/dev/shm has 5 MiB left")
