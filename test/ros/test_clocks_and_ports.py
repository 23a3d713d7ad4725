# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A system clock that is set while the segmenter runs, and a DDS domain whose ports are all taken."""

import shutil
import socket
import struct
import subprocess
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from ros_helpers import Camera, Probe, segmenter_arguments

from dcfm_ros.ros.dds import domain_ports, is_fast_dds

pytestmark = pytest.mark.slow
HOURS_S = 7200


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Sets the system clock of the processes that are started from now on, by seconds from the right time."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("needs a C compiler")
    library, offset = tmp_path / "set_clock.so", tmp_path / "offset"
    source = Path(__file__).with_name("set_clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)

    def set_by(seconds: int) -> None:
        with offset.open("r+b") as file:
            file.write(struct.pack("=q", seconds))

    offset.write_bytes(bytes(8))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))
    return set_by


def test_a_system_clock_that_is_set(clock, processes, model, probe):
    processes("segmenter", *segmenter_arguments("/clock", model), installed=True).wait_for_text("active: ")
    camera = Camera(probe, "/clock/image", "/clock").connect()
    diagnostics = probe.arrays()
    for seconds in (0, HOURS_S, -HOURS_S, 0):
        clock(seconds)
        for _ in range(20):
            camera.segment()
        diagnostics.clear()
        report = probe.spin_until(
            lambda: next((report for report in diagnostics if reports_of(report, "/clock/image")), None),
            "diagnostics",
        )
        shift_s = report.header.stamp.sec - probe.node.get_clock().now().nanoseconds / 1e9
        assert abs(shift_s - seconds) < HOURS_S / 2  # the clock was set indeed
        (status,) = reports_of(report, "/clock/image")
        assert status.level == status.OK, status.message


@contextmanager
def participants(count: int):
    """So many participants' ports of the domain are taken, as by that many processes with nodes."""
    with ExitStack() as taken:
        for port in domain_ports()[10 : 10 + 2 * count]:
            taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("", port))
        yield


def test_a_domain_whose_ports_are_all_taken(other_domain, monkeypatch, processes, model):
    """The next participants meet in shared memory."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    with participants(120), closing(Probe("late")) as probe:
        process = processes("segmenter", *segmenter_arguments("/full", model))
        process.wait_for_text("active: ")
        camera = Camera(probe, "/full/image", "/full").connect()
        for _ in range(20):
            camera.segment()
    assert "none of the first" not in process.text()


@pytest.mark.skipif(not is_fast_dds(), reason="of Fast DDS only")
def test_more_participants_than_others_look_for(other_domain, processes, model):
    """A node that others may not find says so."""
    with participants(32):
        processes("segmenter", *segmenter_arguments("/full", model)).wait_for_text(
            "this process is none of the first 32 in DDS domain"
        )
    process = processes("segmenter", *segmenter_arguments("/full", model))
    process.wait_for_text("active: ")
    assert "none of the first" not in process.text()


def reports_of(report, topic: str) -> list:
    return [status for status in report.status if status.hardware_id == topic]
