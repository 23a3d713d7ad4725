# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream's dealings with CUDA, recorded: in which order, on which stream, and what is made of errors."""

import contextlib
import gc
from types import SimpleNamespace

import pytest
import torch

from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.cuda import stream as module
from dcfm_ros.pipeline.backends.cuda.graphs import CaptureError
from dcfm_ros.pipeline.backends.cuda.stream import CudaStream

CPU = torch.device("cpu")


class Recorder:
    """Stands in for `torch.cuda`: streams have numbers, and `log` has (current stream, what happened)."""

    def __init__(self):
        self.log, self.current, self.streams, self.capture_error = [], None, [], None
        self.pool, self.collected = (0, 7), []  # collected: whether garbage might be, in each capture
        recorder = self

        class Stream:
            def __init__(self, device, priority=0):
                self.device, self.priority, self.number = device, priority, len(recorder.streams)
                recorder.streams.append(self)

            def wait_stream(self, other):
                recorder.note(f"{self.number} waits for {other.number}")

            def synchronize(self):
                recorder.note(f"synchronize {self.number}")

        class CUDAGraph:
            def capture_begin(self, pool, capture_error_mode):
                recorder.note(f"begin {capture_error_mode}")
                recorder.collected.append(gc.isenabled())
                assert pool == recorder.pool

            def capture_end(self):
                recorder.note("end")
                if recorder.capture_error:
                    raise recorder.capture_error

            def replay(self):
                recorder.note("replay")

        @contextlib.contextmanager
        def stream(chosen):
            before, recorder.current = recorder.current, chosen.number
            try:
                yield
            finally:
                recorder.current = before

        self.cuda = SimpleNamespace(
            Stream=Stream,
            CUDAGraph=CUDAGraph,
            stream=stream,
            graph_pool_handle=lambda: self.pool,
            empty_cache=lambda: self.note("empty cache"),
        )

    def note(self, what):
        self.log.append((self.current, what))


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(module.torch, "cuda", recorder.cuda)
    return recorder


def function(recorder):
    def double(tensor):
        recorder.note("compute")
        return tensor * 2

    return double


def test_warmed_up_then_recorded_then_replayed_each_on_its_stream(recorder):
    stream = CudaStream(CPU, priority=-1, graphs=4)
    run, recording, warming = (stream.number for stream in recorder.streams)
    with stream.open("work"):
        stream.run("double", function(recorder), torch.ones(3))
        stream.run("double", function(recorder), torch.ones(3))
    assert recorder.log == [
        (run, f"{warming} waits for {run}"),
        *3 * [(warming, "compute")],
        (run, f"synchronize {warming}"),
        (run, "empty cache"),
        (recording, "begin thread_local"),
        (recording, "compute"),
        (recording, "end"),
        (run, "replay"),
        (run, "replay"),
    ]


def test_kernels_of_a_graph_get_the_lanes_priority(recorder):
    CudaStream(CPU, priority=-1, graphs=4)
    run, recording, _ = recorder.streams
    assert run.priority == recording.priority == -1


def test_two_lanes_share_no_stream(recorder):
    for priority in (-1, 0):
        CudaStream(CPU, priority, graphs=4)
    assert len(recorder.streams) == 6


def test_a_broken_capture_is_ended_and_then_the_function_runs_on_the_lane(recorder, caplog):
    stream = CudaStream(CPU, priority=0, graphs=4)
    run, recording, _ = (stream.number for stream in recorder.streams)
    recorder.capture_error = RuntimeError(
        "CUDA error: operation not permitted when stream is capturing\nmore lines"
    )
    with stream.open("work"):
        assert stream.run("double", function(recorder), torch.ones(3)).tolist() == [2, 2, 2]
    assert recorder.log[-3:] == [(recording, "compute"), (recording, "end"), (run, "compute")]
    assert stream.failures == 1
    assert caplog.messages[0].endswith("CUDA error: operation not permitted when stream is capturing")


def test_the_graph_of_a_broken_capture_stays(recorder):
    """PyTorch's allocator goes on asking it which memory belongs to it."""
    stream = recorder.cuda.Stream(CPU)
    capture = module._Capture(stream)
    recorder.capture_error = RuntimeError("broken")
    with pytest.raises(CaptureError, match="broken"):
        capture(function(recorder), (torch.ones(1),))
    assert len(capture._failed) == 1


@pytest.mark.parametrize("was_ended", [False, True])
def test_the_allocator_is_told_of_a_broken_capture(recorder, monkeypatch, was_ended):
    """Else it would wait for the end of it, and free no memory again."""
    told = []

    def end(*arguments):
        told.append(("end", *arguments))
        if was_ended:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")

    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end, raising=False)
    monkeypatch.setattr(
        torch._C, "_cuda_releasePool", lambda *arguments: told.append(("release", *arguments)), raising=False
    )
    capture = module._Capture(recorder.cuda.Stream(CPU))
    capture(function(recorder), (torch.ones(1),))
    assert told == []
    recorder.capture_error = RuntimeError("broken")
    with pytest.raises(CaptureError, match="broken"):
        capture(function(recorder), (torch.ones(1),))
    assert told == [("end", None, recorder.pool), *([] if was_ended else [("release", None, recorder.pool)])]


def test_no_garbage_is_collected_during_a_capture(recorder):
    """It may hold another graph, which must not be destroyed then."""
    capture = module._Capture(recorder.cuda.Stream(CPU))
    for error in (None, RuntimeError("broken")):
        recorder.capture_error = error
        with pytest.raises(CaptureError) if error else contextlib.nullcontext():
            capture(function(recorder), (torch.ones(1),))
        assert gc.isenabled()
    assert recorder.collected == [False, False]


def test_an_error_in_warming_up_is_no_broken_capture(recorder):
    def fails(tensor):
        raise ValueError("of the function")

    stream = CudaStream(CPU, priority=0, graphs=4)
    with pytest.raises(ValueError, match="of the function"), stream.open("work"):
        stream.run("fails", fails, torch.ones(1))
    assert stream.failures == 0 and "begin thread_local" not in [what for _, what in recorder.log]


def test_memory_that_runs_out(recorder):
    stream = CudaStream(CPU, priority=0, graphs=4)
    with pytest.raises(BackendError) as error, stream.open("deep path"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")
    assert str(error.value) == (
        "cpu is out of memory in the deep path: use a smaller model, a smaller input size or fewer cameras, "
        "or stop what else runs on it (CUDA out of memory. Tried to allocate 2.00 GiB.)"
    )


def test_a_device_that_is_lost(recorder):
    stream = CudaStream(CPU, priority=0, graphs=4)
    with pytest.raises(BackendError) as error, stream.open("shallow path"):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nSearch for it.")
    assert str(error.value) == (
        "cpu failed in the shallow path: restart this process "
        "(CUDA error: an illegal memory access was encountered)"
    )


def test_other_errors_pass_as_they_are(recorder):
    stream = CudaStream(CPU, priority=0, graphs=4)
    with pytest.raises(KeyError, match="mine"), stream.open("mask"):
        raise KeyError("mine")
    assert recorder.current is None
