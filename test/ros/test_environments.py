# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes where a service or a container runs them: without home folder and terminal, on a read-only disk, as
another user."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix
from environment_helpers import STRANGER, as_user, bare, in_namespace, memory_limit, open_folder, read_only
from ros_helpers import Process

COMMANDS = Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros"


class Service(Process):
    """The segmenter, or another node, as a service manager starts it: working folder /, no terminal, its
    output a pipe, few variables."""

    def __init__(
        self,
        log: Path,
        model,
        wrap=lambda command: command,
        backend="torch",
        command="segmenter",
        **variables,
    ):
        self.log = log
        parameters = ("-p", f"model:={model}", "-p", f"backend:={backend}") if command == "segmenter" else ()
        command = wrap([str(COMMANDS / command), "--ros-args", *parameters, "-r", "__node:=service"])
        with log.open("w") as output:
            self._copy = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=output)
        self._process = subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=self._copy.stdin,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=bare(**variables),
        )
        self._copy.stdin.close()

    def end(self) -> None:
        self.signal(signal.SIGTERM)
        assert self.wait() == 0, self.text()
        self._copy.wait()
        assert "Traceback" not in self.text()


@pytest.fixture
def service(tmp_path, model):
    started = []

    def start(*arguments, says="active: ", **variables):
        started.append(Service(tmp_path / "log", model, *arguments, **variables))
        started[0].wait_for_text(says)
        return started[0]

    yield start
    for process in started:
        if process.running():
            process.signal(signal.SIGKILL)
            process.wait()


@pytest.fixture
def temporary(tmp_path):
    return open_folder(tmp_path / "tmp")


@pytest.mark.slow
def test_as_a_service_without_home(service, temporary):
    process = service(TMPDIR=str(temporary))  # the account's home folder serves
    process.end()


@pytest.mark.slow
def test_as_a_user_without_account_and_home(service, temporary):
    process = service(as_user, TMPDIR=str(temporary))
    process.end()
    place = temporary / f"dcfm_ros-{STRANGER}"
    assert (
        f"caches go to {place};" in process.text()
        and f"ROS's log files go to {place / 'log'};" in process.text()
    )
    assert list((place / "log").iterdir())


@pytest.mark.slow
def test_a_folder_of_logs_that_cannot_be_written_is_named(service, temporary):
    """By every node; that of clouds starts in the shortest time."""
    variables = {"TMPDIR": str(temporary), "HOME": "/nonexistent", "ROS_LOG_DIR": "/etc/logs"}
    process = service(as_user, command="points", says=" -> ", **variables)
    process.end()
    assert "dcfm_ros: /etc/logs cannot be written: ROS's log files go to " in process.text()


@pytest.mark.slow
def test_where_nothing_can_be_written_it_works_without_files(service):
    process = service(lambda command: in_namespace(read_only(but="/dev/shm"), as_user(command)), HOME="/root")
    process.end()
    assert (
        "nothing is cached" in process.text() and "ROS writes no log files; set ROS_LOG_DIR" in process.text()
    )


@pytest.fixture
def little_memory():
    with memory_limit(mib=300) as limit:
        yield limit


@pytest.mark.slow
def test_a_conversion_for_which_memory_is_too_short(little_memory, service, probe, tmp_path):
    """As a container's limit has it: the kernel ends the conversion, not the node, which says what to do."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    process = service(
        little_memory.under,
        backend="openvino",
        says="several hundred MB",
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        HOME=str(tmp_path),
    )
    assert probe.state("/dcfm/service") == "unconfigured"
    little_memory.set(mib=4000)
    assert probe.change("configure", "/dcfm/service") and probe.change("activate", "/dcfm/service")
    process.end()


def test_log_files_stay_where_ros_has_them(monkeypatch, tmp_path):
    from dcfm_ros.ros.log_folder import prepare_log_folder

    for variables, expected in (
        ({"HOME": str(tmp_path)}, tmp_path / ".ros" / "log"),
        ({"HOME": str(tmp_path), "ROS_HOME": str(tmp_path / "ros")}, tmp_path / "ros" / "log"),
        ({"HOME": str(tmp_path), "ROS_LOG_DIR": "~/mine"}, tmp_path / "mine"),
    ):
        for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert prepare_log_folder() == [] and os.environ["ROS_LOG_DIR"] == str(expected)
