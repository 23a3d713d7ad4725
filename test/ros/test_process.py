# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shutdown of processes: by SIGINT and SIGTERM, in every state, quickly and without a traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest
from command_server import ForkedCommand
from ros_helpers import Camera

from dcfm_ros.ros import process, shared_memory

LIMIT_S = 20.0  # the machine may be busy; on an idle one it takes a second


def ended(process, number) -> None:
    began = time.monotonic()
    process.signal(number)
    assert process.wait() == 0, process.text()[-3000:]
    assert time.monotonic() - began < LIMIT_S
    assert "Traceback" not in process.text() and "terminate called" not in process.text(), process.text()[
        -3000:
    ]


@pytest.mark.slow
def test_sigint_while_images_flow(processes, model, probe):
    segmenter = processes(
        "segmenter",
        "-r",
        "__node:=ending",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        "-p",
        "image_topic:=/ending",
        "-p",
        "max_interval:=2",
        installed=True,
    )
    camera = Camera(probe, "/ending").connect()
    for _ in range(10):
        camera.segment()
    for _ in range(50):
        camera.send()
    ended(segmenter, signal.SIGINT)


@pytest.mark.slow
def test_sigterm_after_a_failed_configuration(processes):
    segmenter = processes("segmenter", "-r", "__node:=ending", "-p", "model:=/no/such/model")
    segmenter.wait_for_text("cannot configure")
    ended(segmenter, signal.SIGTERM)


@pytest.mark.slow
def test_sigint_while_the_model_is_loaded(processes, model, probe):
    """The node is there before its model, so this signal comes while the node is configured or soon after."""
    segmenter = processes("segmenter", "-r", "__node:=early", "-p", f"model:={model}", "-p", "backend:=torch")
    probe.spin_until(lambda: "early" in probe.node.get_node_names(), "the node")
    ended(segmenter, signal.SIGINT)


@pytest.mark.slow
def test_camera_ends_at_sigint(processes):
    settings = ("image_topic:=/ending", "width:=96", "height:=64", "frames:=3")
    camera = processes("camera", *(word for setting in settings for word in ("-p", setting)), installed=True)
    camera.wait_for_text("3 images at 15 Hz")
    ended(camera, signal.SIGINT)


def test_a_second_signal_cannot_come_between():
    """It would wait for the event's lock, which the first one holds in the same thread."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop = process.stop_on_signal()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set() and all(signal.getsignal(number) == signal.SIG_IGN for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("name", ["FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"])
def test_dds_environment_respects_a_profile_of_the_user(monkeypatch, tmp_path, name):
    for other in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(other, raising=False)
    profile = tmp_path / "fastdds.xml"
    assert shared_memory.dds_environment(profile) == {}  # a missing file would only make Fast DDS complain
    profile.write_text("<dds/>")
    assert shared_memory.dds_environment(profile) == dict.fromkeys(
        ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"), str(profile)
    )
    monkeypatch.setenv(name, "/etc/own.xml")
    assert shared_memory.dds_environment(profile) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--params-file", "/no/such.yaml"), ["/no/such.yaml", "opening", "a file that exists"]),
        (("--params-file", "{empty}"), ["empty.yaml", "No value at line 3"]),
        (("-p", "threshold:="), ["'-p threshold:='", "name:=value"]),
    ],
)
def test_arguments_that_ros_cannot_read_end_it_with_a_line(processes, tmp_path, arguments, words):
    (tmp_path / "empty.yaml").write_text("/**:\n  ros__parameters:\n    model:\n")
    process = processes(
        "segmenter", *(argument.format(empty=tmp_path / "empty.yaml") for argument in arguments)
    )
    assert process.wait() == 1
    line = next(line for line in process.text().splitlines() if line.startswith("segmenter: "))
    assert all(word in line for word in words) and "Traceback" not in process.text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "code, arguments, words",
    [
        (0, ["--help"], ["usage: ", "--params-file"]),
        (1, ["threshold:=1"], ["unknown arguments threshold:=1", "usage: "]),
        (1, ["--ros-args", "--foo"], ["--foo"]),
    ],
)
def test_arguments_that_are_not_for_ros(tmp_path, code, arguments, words):
    """Nothing is started by them: not a second segmenter by --help."""
    (log := tmp_path / "log").touch()
    assert ForkedCommand("segmenter", arguments, str(log), dict(os.environ)).wait(60) == code
    assert all(word in log.read_text() for word in words) and "Traceback" not in log.read_text()


@pytest.mark.slow
def test_every_process_has_a_profile_for_large_images_unless_the_user_has_one(monkeypatch):
    for name in shared_memory.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    code = (
        f"import os\nfrom dcfm_ros.ros import process\nprocess.start([])\n"
        f"print([os.environ[name] for name in {shared_memory.PROFILE_VARIABLES!r} if name in os.environ])"
    )

    def profiles():
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout

    assert profiles().count("/config/fastdds") == 2
    monkeypatch.setenv(shared_memory.PROFILE_VARIABLES[0], "/etc/own.xml")
    assert profiles() == "['/etc/own.xml']\n"
