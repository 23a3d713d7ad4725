# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The campaign's messages, points and soak, in short; whole, they run by `make campaign`."""

import pytest
from campaign import messages, points, soak
from campaign.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("other_domain")]


def test_ten_thousand_bad_messages(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "_MASK_S", 20.0)  # other tests run beside this one
    progress = Progress(tmp_path, "messages", goal=10_000, seconds=600)
    messages.run(progress)
    assert progress.done == 10_000 and not progress.faults
    outcomes = progress.outcomes
    assert all(outcomes[kind] >= 40 for kind in ("raw", "compressed", "calibrations", "parameters"))
    for kind in ("message", "encoding", "size"):  # each was refused, and counted by its kind
        assert outcomes[f"raw: refused_{kind}"] > 50 and outcomes[f"compressed: refused_{kind}"] > 50
    assert outcomes["raw: refused_data"] > 50 and outcomes["compressed: refused_decode"] > 50
    assert outcomes["raw: masks"] > 200 and outcomes["raw: failures"] == 0


def test_bad_messages_to_points(tmp_path, monkeypatch):
    monkeypatch.setattr(points, "_CLOUD_S", 20.0)  # as above
    progress = Progress(tmp_path, "points", goal=1500, seconds=300)
    points.run(progress)
    assert progress.done == 1500 and not progress.faults
    outcomes = progress.outcomes
    for source, kinds in {
        "depth": ("encoding", "camera"),
        "cloud": ("fields", "size"),
        "lidar": ("fields", "camera"),
    }.items():
        assert outcomes[source] == 500 and outcomes[f"{source}: published"] > 20
        for kind in ("message", "data", *kinds):
            assert outcomes[f"{source}: refused_{kind}"] > 5


def test_a_short_soak_with_a_life_cycle(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "_LIFE", 320)
    progress = Progress(tmp_path, "soak", goal=960, seconds=300)
    soak.run(progress)
    progress.save()
    faults = [fault for fault in progress.faults if "resident" not in fault["what"]]  # it still warms up
    assert progress.done == 960 and not faults
    again = Progress(tmp_path, "soak", goal=960, seconds=300)
    assert again.done == 960 and len(again.records) == 3 and not again.goes_on
