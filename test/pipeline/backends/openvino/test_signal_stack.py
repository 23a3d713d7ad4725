# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Signal handlers keep the stack they had: the least one that OpenVINO sets on processors with AMX is too
small for Python's."""

import ctypes
import os
import signal
import sys

import numpy as np
import pytest
from helpers import tiny_model

from dcfm_ros.pipeline.backends.openvino.signal_stack import SignalStack, kept_signal_stack, signal_stack

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sigaltstack(2) of Linux")


@pytest.fixture
def small_stack():
    """Puts a signal stack in place as OpenVINO does, when called; the one before comes back at the end."""
    before, memory = signal_stack(), ctypes.create_string_buffer(1 << 16)

    def place():
        stack = SignalStack(ctypes.addressof(memory), 0, len(memory))
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None) == 0

    yield place
    ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)


def test_a_stack_set_meanwhile_goes_again(small_stack):
    before = signal_stack().address
    with kept_signal_stack():
        small_stack()
        assert signal_stack().address != before
    assert signal_stack().address == before


def test_a_stack_from_before_stays(small_stack):
    small_stack()
    before = signal_stack().address
    with kept_signal_stack():
        pass
    assert signal_stack().address == before is not None


@pytest.mark.slow
def test_openvino_leaves_handlers_their_stack():
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from dcfm_ros.pipeline.backends.openvino.backend import OpenVINOBackend

    before, seen = signal_stack().address, []
    backend = OpenVINOBackend(tiny_model())
    shallow = backend.shallow(np.zeros((64, 96, 3), np.uint8))
    backend.decode(shallow, [backend.deep(shallow)])
    assert signal_stack().address == before
    kept = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, kept)
    assert seen == [signal.SIGUSR1]
