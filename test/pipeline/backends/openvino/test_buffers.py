# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reuse of arrays: never of one that is in use, and not without a limit."""

import threading
import weakref

import numpy as np

from dcfm_ros.pipeline.backends.openvino import buffers as module
from dcfm_ros.pipeline.backends.openvino.buffers import Buffers


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_is_reused_once_nothing_refers_to_it():
    buffers = Buffers((2, 3))
    first, second = buffers.take(), buffers.take()
    assert first.shape == (2, 3) and first.dtype == np.float32 and first.flags.writeable
    assert address(first) != address(second)
    freed, view = address(second), first[:1].T
    del second
    third = buffers.take()
    assert address(third) == freed
    held = address(first)
    del first  # its view is still there
    assert address(buffers.take()) not in (freed, held)
    view[:] = 7
    del view
    taken = [buffers.take() for _ in range(2)]
    assert held in map(address, taken)


def test_an_array_may_be_dropped_by_another_thread():
    buffers, kept = Buffers((4,)), []
    kept.append(buffers.take())
    where = address(kept[0])
    thread = threading.Thread(target=kept.clear)
    thread.start()
    thread.join()
    assert address(buffers.take()) == where


def test_a_burst_of_arrays_is_forgotten(monkeypatch):
    made, empty = [], np.empty

    def watched(*arguments):
        array = empty(*arguments)
        made.append(weakref.ref(array))
        return array

    monkeypatch.setattr(module.np, "empty", watched)
    buffers = Buffers((4,))
    held = [buffers.take() for _ in range(20)]
    assert len({address(array) for array in held}) == 20
    del held
    assert sum(array() is not None for array in made) == 4
