# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm soak`: real nodes over DDS for a few seconds, as forks; test_killed_nodes.py has installed ones."""

import numpy as np
import pytest
from helpers import write_tiny_model

from dcfm_ros.ros.tools import soak as soak_module
from dcfm_ros.ros.tools.node_process import NodeProcessError
from dcfm_ros.ros.tools.options import SoakOptions
from dcfm_ros.ros.tools.soak import soak

pytestmark = pytest.mark.usefixtures("other_domain", "forked_nodes")


@pytest.fixture
def kept(monkeypatch):
    """Results of soak's own functions: lists, by name."""
    kept = {"_watch": [], "_sent": []}
    for name, results in kept.items():

        def keep(*arguments, function=getattr(soak_module, name), results=results):
            results.append(function(*arguments))
            return results[-1]

        monkeypatch.setattr(soak_module, name, keep)
    return kept


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small one, so that a busy machine has time for its keyframes."""
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


def frames_due(times: list[int], ended_ns: int, rate_hz: float) -> float:
    """How many frames a camera has sent, with those for which it was held up: it does not catch up with them.

    That it keeps the rate otherwise is asserted. times: of its frames, in ns.
    """
    periods = np.diff([*sorted(times), max(*times, ended_ns)]) / 1e9 * rate_hz
    assert np.median(periods) == pytest.approx(1.0, rel=0.1)
    return len(times) + (periods[periods > 1.5] - 1.0).sum()


@pytest.mark.slow
def test_two_cameras_for_a_few_seconds(kept, model):
    report = soak(
        SoakOptions(
            model=model,
            camera=(96, 128),
            cameras=2,
            seconds=5.0,
            rate_hz=5.0,
            backend="torch",
            parameters=("max_interval:=3",),
        )
    )
    assert set(report["cameras"]) == {"camera0", "camera1"} and set(report["processes"]) == {
        "segmenter",
        "camera0",
        "camera1",
    }
    (watched,) = kept["_watch"]
    for camera, times in zip(report["cameras"].values(), kept["_sent"]):
        assert camera["sent"] == len(times) and frames_due(list(times.values()), watched.ended_ns, 5.0) >= 25
        assert camera["received"] + camera["lost_by_dds"] + camera["not_taken"] == camera["sent"]
        # A frame in progress or under way when the cameras are stopped may be missing.
        assert (
            0
            <= camera["sent"]
            - camera["masks"]
            - camera["dropped"]
            - camera["lost_by_dds"]
            - camera["not_taken"]
            <= 1
        )
        assert (
            camera["keyframes"] > 2
            and camera["latency_ms"]["p50"] > camera["inside_ms"]["shallow_ms"]["p50"] > 0
        )
    assert report["receive_ms_per_frame"] > 0 and report["backend"] == "torch on cpu (f32)"


@pytest.mark.slow
def test_a_segmenter_that_does_not_come_up():
    with pytest.raises(NodeProcessError, match="no_such_model"):
        soak(SoakOptions(model="no_such_model"))


@pytest.mark.slow
def test_a_frame_costs_what_was_spent_while_such_frames_were_sent(kept, model):
    """Those of before, as while networks are compiled, would make each frame look cheaper."""
    report = soak(SoakOptions(model=model, camera=(96, 128), seconds=5.0, rate_hz=20.0, backend="torch"))
    (watched,), (sent,) = kept["_watch"], kept["_sent"]
    frames = sum(watched.began_ns <= at < watched.ended_ns for at in sent.values())
    assert 0 < frames < len(sent)  # cameras begin before the first mask is there
    cpu_s, segmenter = watched.samples["segmenter"].cpu_s, report["processes"]["segmenter"]
    assert segmenter["cpu_ms_per_frame"] == pytest.approx(1e3 * (cpu_s[-1] - cpu_s[0]) / frames, abs=0.01)
    assert report["receive_ms_per_frame"] == pytest.approx(1e3 * watched.receiving_s / frames, abs=0.01)


def test_parameters_without_a_value_are_refused():
    with pytest.raises(ValueError, match="--set max_interval=5: write it as name:=value"):
        SoakOptions(parameters=("max_interval=5",))
