# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames go first, and the deep path still gets on."""

import os
import threading

import pytest
from pipeline_helpers import TIMEOUT_S, acquire, join
from waiting_helpers import until

from dcfm_ros.pipeline.backends import Sharing
from dcfm_ros.pipeline.cpu_gate import CpuGate, NoGate, cores_are_shared, make_gate, sharing
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, TurnTaking


class Stepped:
    """Some steps on a thread of their own: `begun` counts those that have begun, `go` lets one end, `order`
    notes them."""

    def __init__(self, order: list | None = None):
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.order = [] if order is None else order
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()

    def step(self, name):
        self.order.append(name)
        self.begun.release()
        acquire(self.go)

    def join(self):
        join(self._thread)


class Encode(Stepped):
    def __init__(self, gate, slices, order=None):
        self._gate, self._slices = gate, slices
        super().__init__(order)

    def run(self):
        with self._gate.encoding():
            for number in range(self._slices):
                if number:
                    self._gate.yield_to_frames()
                self.step(f"slice {number}")


class Frames(Stepped):
    """One after the other without a gap."""

    def __init__(self, gate, count, order=None):
        self._gate, self._count = gate, count
        super().__init__(order)

    def run(self):
        for number in range(self._count):
            with self._gate.frame():
                self.step(f"frame {number}")


@pytest.fixture(autouse=True)
def patience(monkeypatch, request):
    """A busy machine must not look like a long slice."""
    if "too_long" not in request.node.name:
        monkeypatch.setattr("dcfm_ros.pipeline.cpu_gate._LONGEST_SLICE_S", TIMEOUT_S)


def test_slices_run_one_after_the_other_without_frames():
    encode = Encode(CpuGate(), 3)
    for _ in range(3):
        acquire(encode.begun)
        encode.go.release()
    encode.join()


def test_a_frame_waits_for_the_slice_at_work_and_goes_before_the_next():
    gate, order = CpuGate(), []
    encode = Encode(gate, 2, order)
    acquire(encode.begun)
    frames = Frames(gate, 1, order)
    until(lambda: gate.frame_waits, TIMEOUT_S)
    assert order == ["slice 0"]
    encode.go.release()
    acquire(frames.begun)
    assert order == ["slice 0", "frame 0"]
    frames.go.release()
    acquire(encode.begun)
    encode.go.release()
    encode.join()
    frames.join()


def test_between_frames_without_a_gap_one_slice_passes():
    gate, order = CpuGate(), []
    frames = Frames(gate, 3, order)
    acquire(frames.begun)
    encode = Encode(gate, 3, order)
    for number in range(3):
        until(lambda: gate.slice_waits, TIMEOUT_S)
        frames.go.release()
        acquire(encode.begun)
        if number < 2:  # the next frame is there before this slice ends: there is no gap
            until(lambda: gate.frame_waits, TIMEOUT_S)
        encode.go.release()
    encode.join()
    frames.join()
    assert order == ["frame 0", "slice 0", "frame 1", "slice 1", "frame 2", "slice 2"]


def test_a_frame_that_waits_for_the_deep_path_lets_it_run():
    gate = CpuGate()
    with gate.frame(), gate.released():
        encode = Encode(gate, 2)
        for _ in range(2):
            acquire(encode.begun)
            encode.go.release()
        encode.join()


def test_frames_run_beside_a_slice_that_takes_too_long_and_wait_for_it_once(monkeypatch):
    gate = CpuGate()
    encode = Encode(gate, 2)
    acquire(encode.begun)
    with gate.frame():  # else this would never begin
        pass
    monkeypatch.setattr("dcfm_ros.pipeline.cpu_gate._LONGEST_SLICE_S", TIMEOUT_S)
    for _ in range(100):
        with gate.frame():
            pass
    encode.go.release()
    acquire(encode.begun)
    frames = Frames(gate, 1)
    until(lambda: gate.frame_waits, TIMEOUT_S)  # the next slice is waited for again
    for stepped in (encode, frames):
        stepped.go.release()
        stepped.join()


def test_without_a_gate_nothing_waits():
    gate = NoGate()
    encode = Encode(gate, 2)
    acquire(encode.begun)
    with gate.frame(), gate.released():  # beside a slice at work
        encode.go.release()
        acquire(encode.begun)
        encode.go.release()
        encode.join()


def test_who_fails_leaves_the_gate():
    gate = CpuGate()
    for failing, next_one in ((gate.frame, Encode), (gate.encoding, Frames)):
        with pytest.raises(RuntimeError, match="bad"), failing():
            raise RuntimeError("bad")
        stepped = next_one(gate, 1)
        acquire(stepped.begun)
        stepped.go.release()
        stepped.join()


def test_a_slice_that_has_not_begun_is_none_that_takes_too_long(monkeypatch):
    """Its thread may have no core: frames go on, but wait again as soon as it is at work."""
    gate = CpuGate()
    with gate.frame():
        encode = Encode(gate, 1)
        until(lambda: gate.slice_waits, TIMEOUT_S)
    acquire(encode.begun)
    frames = Frames(gate, 1)
    until(lambda: gate.frame_waits, TIMEOUT_S)
    for stepped in (encode, frames):
        stepped.go.release()
        stepped.join()


@pytest.mark.parametrize(
    "cores, taking, shared",
    [
        (2, TurnTaking.AUTO, True),
        (4, TurnTaking.AUTO, True),
        (5, TurnTaking.AUTO, False),
        (2, TurnTaking.CONCURRENT, False),
        (16, TurnTaking.SLICED, True),
    ],
)
def test_few_cores_are_shared_unless_told_otherwise(monkeypatch, cores, taking, shared):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    assert cores_are_shared(taking) is shared


def test_a_gate_stands_where_both_run_at_the_same_time_on_the_same_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    for taking, device, inline, kind in (
        ("auto", "cpu", False, CpuGate),
        ("auto", "cpu", True, NoGate),
        ("concurrent", "cpu", False, NoGate),
        ("auto", "cuda:0", False, NoGate),
        ("sliced", "cuda:0", False, CpuGate),
    ):
        assert type(make_gate(PipelineConfig(turns=taking), device, inline)) is kind, (taking, device, inline)


def test_only_in_async_anything_runs_beside_frames():
    for mode in (Mode.SYNC, Mode.TWO_SIDED):
        assert sharing(PipelineConfig(mode=mode, turns=TurnTaking.SLICED)) is Sharing.NONE
    assert sharing(PipelineConfig(turns=TurnTaking.SLICED), per_frame=True) is Sharing.NONE
    assert sharing(PipelineConfig(turns=TurnTaking.SLICED)) is Sharing.TURNS
    assert sharing(PipelineConfig(turns=TurnTaking.CONCURRENT)) is Sharing.CORES
