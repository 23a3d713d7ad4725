# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Interrupts: they wait for the end of what is held, and numba's loading of a function is held."""

import signal
import threading

import pytest
from numba.core import codegen

from dcfm_ros.compiled import njit
from dcfm_ros.interrupts import Interrupts, held


@pytest.fixture
def interrupts():
    with Interrupts() as entered:
        yield entered


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_waits_for_what_is_held(interrupts):
    done = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts.held():
            with interrupts.held():
                interrupt()
            done.append("inner")
        done.append("nothing after it")
    assert done == ["inner"]


def test_what_is_held_without_a_name_is_that_of_the_innermost(interrupts):
    with Interrupts() as inner, pytest.raises(KeyboardInterrupt), held():
        interrupt()
        assert inner._waiting == signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_nothing_waits_where_nobody_has_entered_any():
    assert not Interrupts.entered
    with held(), pytest.raises(KeyboardInterrupt):
        interrupt()


def test_another_thread_holds_nothing(interrupts):
    inside, end = threading.Event(), threading.Event()

    def hold() -> None:
        with held():
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
