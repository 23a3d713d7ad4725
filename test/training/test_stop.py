# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests to end: signals and the end of the time at hand."""

import os
import signal

import pytest

from dcfm_ros.training import stop as stop_module
from dcfm_ros.training.stop import GO_ON, StopRequest


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_signals_are_heard_once(number, capfd):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.code == GO_ON
        os.kill(os.getpid(), number)
        assert stop.code == 128 + number
    assert signal.getsignal(number) is before
    assert capfd.readouterr().err == "\nThe iteration is being finished and a checkpoint saved\n"


def test_a_second_ctrl_c_ends_at_once(monkeypatch):
    with StopRequest(verbose=False) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    monkeypatch.setenv("RANK", "0")  # torchrun passes on what the terminal sent to all already
    with StopRequest(verbose=False) as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.code == 130


def test_time(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(stop_module.time, "monotonic", lambda: now[0])
    stop = StopRequest(minutes=1.5)
    now[0] += 89
    assert stop.code == GO_ON
    now[0] += 1
    assert stop.code == 0
    assert StopRequest().code == GO_ON


@pytest.mark.parametrize("minutes", (0, -1, float("nan")))
def test_bad_minutes(minutes):
    with pytest.raises(ValueError, match=f"minutes {minutes}: use a number above 0"):
        StopRequest(minutes)
