# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs are captured once, kept within bounds, and never missed where a function cannot be captured."""

import logging
import threading

import pytest
import torch
from cuda_helpers import FakeCapture
from pipeline_helpers import TIMEOUT_S, in_thread, join, wait

from dcfm_ros.pipeline.backends.cuda.graphs import CaptureError, Graphs

CPU = torch.device("cpu")


@pytest.fixture
def capture():
    return FakeCapture()


def graphs(capture, limit=4):
    return Graphs(capture, CPU, limit)


def double(tensor):
    return tensor * 2


def ones(*shape):
    return torch.ones(*shape)


def test_captured_once_and_replayed_on_each_input(capture):
    made = graphs(capture)
    for value in (1.0, 2.0, 5.0):
        assert made.run("double", double, torch.full((3,), value)).tolist() == [2 * value] * 3
    assert capture.count == 1 and made.failures == 0


def test_the_inputs_are_only_read(capture):
    given = ones(3)
    graphs(capture).run("double", double, given)
    assert given.tolist() == [1, 1, 1]


def test_the_result_is_the_graphs_own_and_lasts_until_the_next_run(capture):
    made = graphs(capture)
    first = made.run("double", double, ones(3))
    made.run("double", double, 4 * ones(3))
    assert first.tolist() == [8, 8, 8]


def test_each_shape_and_each_name_has_a_graph(capture):
    made = graphs(capture)
    made.run("double", double, ones(3))
    made.run("double", double, ones(4))
    assert made.run("triple", lambda tensor: 3 * tensor, ones(3)).tolist() == [3, 3, 3]
    assert made.run(("sum", 2), torch.add, ones(3), ones(3)).tolist() == [2, 2, 2]
    assert capture.count == len(made) == 4


def test_the_least_recently_used_graph_goes(capture):
    made = graphs(capture, limit=2)
    for size in (1, 2, 1, 3):  # 2 is the oldest when 3 comes
        made.run("double", double, ones(size))
    assert len(made) == 2 and capture.count == 3
    made.run("double", double, ones(1))
    made.run("double", double, ones(3))
    assert capture.count == 3
    made.run("double", double, ones(2))
    assert capture.count == 4 and len(made) == 2


def test_prepared_before_the_first_run(capture):
    made = graphs(capture)
    example = made.prepare("double", double, ones(2, 3))
    assert example.shape == (2, 3)
    assert made.run("double", double, ones(2, 3)).tolist() == [[2, 2, 2]] * 2
    assert capture.count == 1


def test_what_cannot_be_captured_runs_as_it_is_logged_and_counted_once(capture, caplog):
    capture.refused = True
    made = graphs(capture)
    with caplog.at_level(logging.WARNING):
        results = [made.run("double", double, torch.full((3,), value)) for value in (1.0, 2.0)]
    assert [result.tolist() for result in results] == [[2, 2, 2], [4, 4, 4]]
    assert made.failures == capture.count == 1
    assert len(caplog.messages) == 1
    assert "('double', (3,))" in caplog.text and "not permitted when stream is capturing" in caplog.text
    assert made.prepare("double", double, ones(3)).shape == (3,)
    assert made.failures == capture.count == 1
    capture.refused = False  # another shape has another chance
    made.run("double", double, ones(4))
    assert made.failures == 1 and capture.count == 2


def test_errors_of_the_function_are_not_hidden(capture):
    def fails(tensor):
        raise ValueError("of the function")

    with pytest.raises(ValueError, match="of the function"):
        graphs(capture).run("fails", fails, ones(1))


def test_one_capture_at_a_time_and_runs_go_on_meanwhile():
    """Of all graphs in the process: the deep path's capture waits for that of a mask. What is captured
    already runs."""
    going, go_on, inside = threading.Event(), threading.Event(), []

    class Slow(FakeCapture):
        def __call__(self, function, examples):
            inside.append(1)
            assert len(inside) == 1, "two captures at once"
            going.set()
            assert go_on.wait(TIMEOUT_S)
            captured = super().__call__(function, examples)
            inside.pop()
            return captured

    ready = graphs(FakeCapture())
    ready.prepare("double", double, ones(3))
    first, second = graphs(Slow()), graphs(Slow())
    threads = [in_thread(first.prepare, "double", double, ones(3))]
    wait(going)
    threads.append(in_thread(second.run, "double", double, ones(3)))
    assert ready.run("double", double, ones(3)).tolist() == [2, 2, 2]
    assert not threads[1][1]
    go_on.set()
    for thread, _ in threads:
        join(thread)
    assert threads[1][1][0].tolist() == [2, 2, 2]


def test_two_threads_that_want_the_same_graph_capture_it_once():
    going, go_on = threading.Event(), threading.Event()

    class Slow(FakeCapture):
        def __call__(self, function, examples):
            going.set()
            assert go_on.wait(TIMEOUT_S)
            return super().__call__(function, examples)

    capture = Slow()
    made = graphs(capture)
    threads = [in_thread(made.prepare, "double", double, ones(3))]
    wait(going)
    threads.append(in_thread(made.run, "double", double, ones(3)))
    go_on.set()
    for thread, _ in threads:
        join(thread)
    assert capture.count == len(made) == 1
    assert threads[1][1][0].tolist() == [2, 2, 2]


def test_a_failed_capture_lets_the_next_one_begin(capture):
    def refuse(function, examples):
        raise CaptureError("no")

    Graphs(refuse, CPU, 4).run("double", double, ones(1))
    graphs(capture).run("double", double, ones(1))
    assert capture.count == 1
