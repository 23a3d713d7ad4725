# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames go first, and the deep path still gets on."""

import os
import threading
from contextlib import contextmanager

import pytest
from pipeline_helpers import TIMEOUT_S, acquire, join

from dcfm_ros.pipeline.backends import Sharing
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, TurnTaking
from dcfm_ros.pipeline.turns import Turns, cores_are_shared, sharing


class Encode:
    """An encode on a thread of its own: `go` lets a slice end, `begun` counts slices that began."""

    def __init__(self, turns: Turns, slices: int, order: list | None = None):
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.order = [] if order is None else order
        self._turns, self._slices = turns, slices
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with self._turns.encoding():
            for number in range(self._slices):
                if number:
                    self._turns.give_way()
                self.order.append(f"slice {number}")
                self.begun.release()
                acquire(self.go)


class Frames:
    """Frames on a thread of their own, one after the other without a gap; `go` lets one end."""

    def __init__(self, turns: Turns, count: int, order: list):
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self._turns, self._count, self._order = turns, count, order
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        for number in range(self._count):
            with self._turns.frame():
                self._order.append(f"frame {number}")
                self.begun.release()
                acquire(self.go)


@pytest.fixture(autouse=True)
def patience(monkeypatch, request):
    """A busy machine must not look like a long slice."""
    if "too_long" not in request.node.name:
        monkeypatch.setattr("dcfm_ros.pipeline.turns._LONGEST_WAIT_S", TIMEOUT_S)


def wait_until(turns, condition):
    with turns._changed:
        assert turns._changed.wait_for(condition, TIMEOUT_S)


@contextmanager
def noticing(turns, monkeypatch):
    """Waiting is announced, so that a test can wait for it."""
    wait_for = turns._changed.wait_for

    def announced(condition, timeout=None):
        turns._changed.notify_all()
        return wait_for(condition, timeout)

    monkeypatch.setattr(turns._changed, "wait_for", announced)
    yield


def test_slices_run_one_after_the_other_without_frames():
    encode = Encode(Turns(sliced=True), 3)
    for _ in range(3):
        acquire(encode.begun)
        encode.go.release()
    join(encode.thread)


def test_a_frame_waits_for_the_slice_at_work_and_goes_before_the_next(monkeypatch):
    turns, order = Turns(sliced=True), []
    with noticing(turns, monkeypatch):
        encode = Encode(turns, 2, order)
        acquire(encode.begun)
        frames = Frames(turns, 1, order)
        wait_until(turns, lambda: turns._frame_waits)
        assert order == ["slice 0"]
        encode.go.release()
        acquire(frames.begun)
        assert order == ["slice 0", "frame 0"]
        frames.go.release()
        acquire(encode.begun)
        encode.go.release()
        join(encode.thread)
        join(frames.thread)


def test_between_frames_without_a_gap_one_slice_passes(monkeypatch):
    turns, order = Turns(sliced=True), []
    with noticing(turns, monkeypatch):
        frames = Frames(turns, 3, order)
        acquire(frames.begun)
        encode = Encode(turns, 3, order)
        for number in range(3):
            wait_until(turns, lambda: turns._slice_waits)
            frames.go.release()
            acquire(encode.begun)
            if number < 2:   # the next frame is there before this slice ends: there is no gap
                wait_until(turns, lambda: turns._frame_waits)
            encode.go.release()
        join(encode.thread)
        join(frames.thread)
    assert order == ["frame 0", "slice 0", "frame 1", "slice 1", "frame 2", "slice 2"]


def test_a_frame_that_waits_for_the_deep_path_lets_it_run():
    turns = Turns(sliced=True)
    with turns.frame():
        with turns.pause():
            encode = Encode(turns, 2)
            for _ in range(2):
                acquire(encode.begun)
                encode.go.release()
            join(encode.thread)


def test_a_frame_runs_beside_a_slice_that_takes_too_long():
    turns = Turns(sliced=True)
    encode = Encode(turns, 2)
    acquire(encode.begun)
    with turns.frame():  # else this would never begin
        encode.go.release()
    acquire(encode.begun)
    encode.go.release()
    join(encode.thread)


def test_concurrent_never_waits():
    turns = Turns(sliced=False)
    encode = Encode(turns, 2)
    acquire(encode.begun)
    with turns.frame():  # beside a slice at work
        encode.go.release()
        acquire(encode.begun)
        encode.go.release()
        join(encode.thread)


@pytest.mark.parametrize("failing", ["frame", "encoding"])
def test_who_fails_ends_the_turn(failing):
    turns = Turns(sliced=True)
    with pytest.raises(RuntimeError, match="bad"):
        with getattr(turns, failing)():
            raise RuntimeError("bad")
    with turns.frame():
        pass
    with turns.encoding():
        pass


@pytest.mark.parametrize("cores, taking, shared", [
    (2, TurnTaking.AUTO, True), (4, TurnTaking.AUTO, True), (5, TurnTaking.AUTO, False),
    (2, TurnTaking.CONCURRENT, False), (16, TurnTaking.SLICED, True)])
def test_few_cores_are_shared_unless_told_otherwise(monkeypatch, cores, taking, shared):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    assert cores_are_shared(taking) is shared


def test_only_in_async_anything_runs_beside_frames():
    for mode in (Mode.SYNC, Mode.TWO_SIDED):
        assert sharing(PipelineConfig(mode=mode, turns=TurnTaking.SLICED)) is Sharing.NONE
    assert sharing(PipelineConfig(mode=Mode.ASYNC, turns=TurnTaking.SLICED)) is Sharing.TURNS
    assert sharing(PipelineConfig(mode=Mode.ASYNC, turns=TurnTaking.CONCURRENT)) is Sharing.CORES
