# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays are used again once nobody holds them."""

from dcfm_ros.pipeline.backends.openvino.buffers import Buffers


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_in_use_is_never_given_out_and_a_free_one_is():
    buffers = Buffers((2, 3))
    first, second = buffers.take(), buffers.take()
    assert address(first) != address(second) and first.shape == (2, 3) and first.dtype == "float32"
    view = first[0]
    freed = address(second)
    del first, second
    third = buffers.take()
    assert address(third) == freed  # the view still holds the other
    assert address(buffers.take()) not in (freed, address(view))
    held = address(view)
    del view
    assert held in {address(array) for array in (buffers.take(), buffers.take())} | {address(buffers.take())}


def test_few_free_ones_are_kept():
    buffers = Buffers((4,))
    held = [buffers.take() for _ in range(20)]
    assert len({address(array) for array in held}) == 20
    del held
    buffers.take()
    assert len(buffers._arrays) == 4
