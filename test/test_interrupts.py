# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Signals wait for the end of a deferred block, and numba loads a function in one."""

import signal
import threading

import pytest
from numba.core import codegen

from dcfm_ros.compiled import njit
from dcfm_ros.interrupts import Interrupts, deferred_signals


@pytest.fixture
def interrupts():
    with Interrupts() as entered:
        yield entered


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_a_signal_waits_for_the_end_of_a_deferred_block(interrupts):
    done = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts.deferred():
            with interrupts.deferred():
                interrupt()
            done.append("inner")
        done.append("nothing after it")
    assert done == ["inner"]


def test_the_innermost_defers(interrupts):
    with Interrupts() as inner, pytest.raises(KeyboardInterrupt), deferred_signals():
        interrupt()
        assert inner._pending == signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_nothing_is_deferred_where_none_is_entered():
    assert not Interrupts.entered
    with deferred_signals(), pytest.raises(KeyboardInterrupt):
        interrupt()


def test_another_thread_defers_nothing(interrupts):
    inside, end = threading.Event(), threading.Event()

    def hold() -> None:
        with deferred_signals():
            inside.set()
            end.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert inside.wait(30)
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    finally:
        end.set()
        thread.join()


def test_an_interrupt_while_a_function_is_compiled_is_not_lost(interrupts, monkeypatch, capfd):
    """llvmlite calls Python back from C, where an exception would be printed and forgotten."""
    called = []
    engines = codegen.ll.ExecutionEngine

    def find(engine, module, inner=engines._find_module_ptr):  # in each such call
        called.append(module)
        interrupt()
        return inner(engine, module)

    monkeypatch.setattr(engines, "_find_module_ptr", find)

    @njit()
    def doubled(value):
        return 2 * value

    with pytest.raises(KeyboardInterrupt):
        doubled(1.0)
    assert called and doubled(2.0) == 4 and not capfd.readouterr().err
