# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node that stays up for days: it ends at once, also while it encodes, and many lives leave nothing
behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ros_helpers import Camera, Process, segmenter_arguments

LIVES = 50
SETTLED = 10  # lives until allocators and caches have what they keep
END_LIMIT_S = 2.0  # from SIGINT to the end of the process; the encode that runs would take 20 s more
NAP_S = 0.01  # in which that is counted: it stands still while the machine does
# What 40 lives may add. A life that kept its model would add 15 MB, 600 MB in all; one that kept an image of
# the tests and its features, 60 KB. Allocators and Python's collector of cycles make it go up and down by a
# few MB.
GROWTH_LIMIT_MB = 20.0
NETWORKS_MB = 30.0  # at least, of the tests' model compiled by OpenVINO


class SlowSegmenter(Process):
    """`slow_segmenter.py` in a process of its own."""

    def __init__(self, log: Path, lives: int, backend: str, mode: str, model: Path, topic: str):
        self.log = log
        script = Path(__file__).with_name("slow_segmenter.py")
        paths = [str(script.parents[1]), os.environ.get("PYTHONPATH", "")]
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(script), str(lives), backend, mode, str(model), topic],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            )

    def held(self) -> list[dict]:
        """Resources of the process in each run."""
        written = self.text().rpartition("\n")[0]  # the last line may be half there
        return [json.loads(line) for line in written.splitlines() if line.startswith("{")]


@pytest.fixture
def slow(tmp_path, model):
    """slow(lives, backend, mode, topic): starts a node, which is killed at the end of the test if it still
    runs."""
    started = []

    def start(lives: int, backend: str, mode: str, topic: str) -> SlowSegmenter:
        started.append(SlowSegmenter(tmp_path / "log", lives, backend, mode, model, topic))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def end_in_the_middle_of_an_encode(process: SlowSegmenter, probe, topic: str) -> None:
    process.wait_for_text("ready")
    camera = Camera(probe, topic)
    probe.spin_until(lambda: camera.publisher.get_subscription_count() > 0, "the subscription")
    probe.spin_until(lambda: camera.send() and "encoding" in process.text(), "an encode")
    process.signal(signal.SIGINT)
    naps = 0
    while process.running():
        time.sleep(NAP_S)
        naps += 1
        assert naps * NAP_S < END_LIMIT_S, process.text()[-3000:]
    assert process.wait() == 0, process.text()[-3000:]
    assert "Traceback" not in process.text() and "terminate called" not in process.text(), process.text()[
        -3000:
    ]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["async", "sync"])
def test_sigint_in_the_middle_of_an_encode(slow, probe, mode):
    """Mode `sync`: the mask thread waits for the encode."""
    end_in_the_middle_of_an_encode(slow(0, "torch", mode, "/slow"), probe, "/slow")


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_fifty_lives_leave_nothing_behind(slow, probe, backend):
    if backend == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
    process = slow(LIVES, backend, "async", "/lives")
    for number in range(1, LIVES + 1):  # each has the time that a start may take
        probe.spin_until(lambda: len(process.held()) >= number or not process.running(), f"life {number}")
    end_in_the_middle_of_an_encode(process, probe, "/lives")
    held = process.held()
    assert len(held) == LIVES
    for what in ("threads", "python_threads", "descriptors", "publishers", "subscriptions"):
        later = [life[what] for life in held[SETTLED - 1 :]]
        assert max(later) <= later[0], f"{what}: {later}"
    growth_mb = held[-1]["rss_mb"] - held[SETTLED - 1]["rss_mb"]
    assert growth_mb < GROWTH_LIMIT_MB, [round(life["rss_mb"], 1) for life in held]


@pytest.mark.slow
def test_a_cleanup_gives_its_memory_back(processes, probe, model):
    """Else the networks of before stay until those of the next configuration are compiled, and the freed
    places between them are too scattered for those after."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    arguments = segmenter_arguments("/given_up", model, "-p", "backend:=openvino", "-p", "autostart:=false")
    process = processes("segmenter", *arguments, installed=True)

    def resident_mb(transition: str) -> float:
        assert probe.change(transition, "/given_up/segmenter"), process.text()[-3000:]
        return psutil.Process(process.pid).memory_info().rss / 2**20

    lives = [(resident_mb("configure"), resident_mb("cleanup")) for _ in range(6)]
    assert all(configured - after > NETWORKS_MB for configured, after in lives), lives
    assert lives[-1][0] < 1.01 * lives[1][0], lives
