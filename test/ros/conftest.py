# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the ROS layer's tests. Each run of pytest has a DDS domain of its own, so that runs do not see
each other."""

import os
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make test`, or source a ROS distribution")
pytest.importorskip("dcfm_ros.msg", reason="needs the package built: run `make build`")

_claims: list[socket.socket] = []  # of domains, as long as this process lives


def _claimed_domain() -> str:
    """A DDS domain which no other run of the tests has, and in whose first ports nobody listens.

    Domains above 101 take ports from which the system also gives out temporary ones.
    """
    for number in range(101):
        domain = 1 + (os.getpid() + number) % 101
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        first_port = 7400 + 250 * domain
        try:
            claim.bind(f"\0dcfm_ros_test_domain_{domain}")
            for port in range(first_port, first_port + 32):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
                    listener.bind(("", port))
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return str(domain)
    raise RuntimeError("all DDS domains from 1 to 101 are taken")


os.environ["ROS_DOMAIN_ID"] = _claimed_domain()
_OTHER_DOMAIN = _claimed_domain()
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

from command_server import ForkedCommand
from helpers import write_tiny_model
from ros_helpers import DEFAULTS, Camera, Probe, Process, Segmenter


@pytest.fixture(autouse=True, scope="module")
def environment():
    """Commands set the profile of Fast DDS for their own process; the tests of the next file begin
    without."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def other_domain(monkeypatch):
    """Isolate commands that start the segmenter under its own name from the segmenter of other tests."""
    monkeypatch.setenv("ROS_DOMAIN_ID", _OTHER_DOMAIN)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Folder of a random model with 4 classes, of which it finds two in the tests' pictures, in about equal
    parts."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", seed=11)


@pytest.fixture(scope="session")
def _session_probe():
    probe = Probe("session_probe")
    yield probe
    probe.close()


@pytest.fixture(scope="session")
def segmenter(model, _session_probe, tmp_path_factory):
    """One segmenter process for the session; tests begin with `segmenter.start(...)`."""
    log = tmp_path_factory.mktemp("segmenter") / "log"
    process = Process("segmenter", log, "-p", "autostart:=false")
    yield Segmenter(process, _session_probe, {**DEFAULTS, "model": str(model)})
    assert process.running(), f"the segmenter's process ended on the way:\n{process.text()[-5000:]}"
    assert process.stop() == 0, process.text()[-3000:]
    assert "Traceback" not in process.text()


@pytest.fixture
def probe(_session_probe):
    """A node for a test, in the participant of the session."""
    probe = Probe(context=_session_probe.context)
    yield probe
    probe.close()


@pytest.fixture
def processes(tmp_path):
    """Starts commands of the package, with `installed=True` as they are installed; what still runs at the end
    of the test is ended."""
    started = []

    def start(command, *ros_arguments, installed=False):
        log = tmp_path / f"{command}{len(started)}.log"
        process = Process(command, log, *ros_arguments, installed=installed)
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def forked_nodes(monkeypatch):
    """Nodes that `dcfm demo` and `dcfm soak` start in this process are forks of what is imported already
    (command_server.py), by name of the last one of each."""
    from dcfm_ros.ros.tools import node_process

    started = {}

    def start(command, stdout, stderr):
        name = Path(command[0]).name
        started[name] = ForkedCommand(name, command[1:], stdout.name, dict(os.environ))
        return started[name]

    instead = SimpleNamespace(Popen=start, STDOUT=subprocess.STDOUT, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(node_process, "subprocess", instead)
    return started


@pytest.fixture
def camera(segmenter, probe):
    """A camera on the default topic, with the segmenter running on default settings."""
    segmenter.start()
    return Camera(probe).connect()
