# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
from dcfm_ros.ros import seldom
from dcfm_ros.ros.seldom import Seldom


def test_each_thing_is_said_once_in_a_period(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(seldom.time, "monotonic", lambda: now_s[0])
    said = Seldom(5.0)
    times = []
    for _ in range(12):
        times.append((said.is_time("front"), said.is_time("rear")))
        now_s[0] += 1.0
    assert [at for at, both in enumerate(times) if all(both)] == [0, 5, 10]
    assert [at for at, both in enumerate(times) if any(both)] == [0, 5, 10]
