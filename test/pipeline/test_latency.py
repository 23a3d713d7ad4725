# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sliding windows of durations and events."""

import threading

import pytest

from dcfm_ros.pipeline.latency import DurationWindow, RateWindow

SECOND = 1_000_000_000


def test_durations_percentiles():
    window = DurationWindow()
    assert window.percentile(50) == 0.0 and window.percentile(99) == 0.0
    for value in range(1, 102):
        window.add(float(value))
    assert window.percentile(0) == 1 and window.percentile(50) == 51 and window.percentile(100) == 101


def test_durations_keep_the_newest_only():
    window = DurationWindow(size=3)
    for value in (1000.0, 1000.0, 1.0, 2.0, 3.0):
        window.add(value)
    assert window.percentile(100) == 3.0 and window.percentile(50) == 2.0


def test_rate_of_nothing_and_of_one_event():
    window = RateWindow(seconds=5.0)
    assert window.rate_hz(7 * SECOND) == 0.0
    window.add(7 * SECOND)
    assert window.rate_hz(7 * SECOND) == pytest.approx(0.2)
    assert window.rate_hz(13 * SECOND) == 0.0


@pytest.mark.parametrize("rate", [1, 10, 30])
def test_rate_of_a_steady_camera(rate):
    window = RateWindow(seconds=5.0)
    for number in range(20 * rate):
        window.add(number * SECOND // rate)
    assert window.rate_hz((20 * rate - 1) * SECOND // rate) == pytest.approx(rate)


def test_rate_decays_in_silence_and_ends_at_zero():
    window = RateWindow(seconds=5.0)
    for number in range(51):
        window.add(number * SECOND // 10)
    rates = [window.rate_hz((5 + silent) * SECOND) for silent in range(7)]
    assert rates == sorted(rates, reverse=True) and rates[0] == pytest.approx(10) and rates[-1] == 0.0


def test_rate_window_is_bounded():
    window = RateWindow(seconds=5.0, size=10)
    for number in range(1000):
        window.add(number * SECOND // 100)
    assert window.rate_hz(999 * SECOND // 100) == pytest.approx(100)


def test_windows_take_many_threads():
    durations, rate = DurationWindow(size=100), RateWindow(size=100)
    errors = []

    def use():
        try:
            for number in range(300):
                durations.add(1.0)
                rate.add(number)
                durations.percentile(50)
                rate.rate_hz(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not errors and durations.percentile(50) == 1.0
