# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The viewer: threads, counting and errors with a scene of the tests' own."""

import logging
import sys
import threading

import numpy as np
import pytest

from dcfm_ros.viewer import viewer
from dcfm_ros.viewer.viewer import Viewer, open_viewer

MASK = np.zeros((4, 6), np.uint8)


class Drawn:
    """A scene that notes what it is asked for. `broken`: methods that fail; `gate`: what drawing a frame
    waits for."""

    def __init__(self, broken=(), gate=None):
        self.calls, self._broken, self._gate = [], broken, gate
        self.entered = threading.Event()

    def __getattr__(self, name):
        def call(*arguments):
            self.entered.set()
            if self._gate is not None and name == "frame":
                assert self._gate.wait(60)
            self.calls.append((name, *arguments))
            if name in self._broken:
                raise RuntimeError(f"{name} is out of order")

        return call

    def names(self):
        return [name for name, *_ in self.calls]


def show(shown: Viewer, stamp_ns: int, score=0.1):
    shown.frame("front", stamp_ns, None, MASK, score, 0.32, False, 3)


def test_everything_is_drawn_in_order_by_one_thread_of_its_own():
    scene = Drawn()
    threads = set()
    scene.keyframe = lambda *arguments: threads.add(threading.current_thread().name)
    shown = Viewer(scene)
    shown.classes([[0, "road", [1, 2, 3]]])
    for stamp_ns in range(5):
        show(shown, stamp_ns)
    shown.keyframe("front", 4, "interval", 0.2)
    shown.close()
    assert scene.calls[0] == ("classes", [(0, "road", (1, 2, 3))])
    assert [call[1:3] for call in scene.calls[1:6]] == [("front", stamp_ns) for stamp_ns in range(5)]
    assert scene.names()[-1] == "close" and threads == {"dcfm-viewer"}
    assert (shown.errors, shown.left_out) == (0, 0)


def test_after_the_end_nothing_is_shown_and_no_thread_is_left():
    scene = Drawn()
    shown = Viewer(scene)
    shown.close()
    show(shown, 1)
    shown.close()
    assert scene.names() == ["close"]
    assert "dcfm-viewer" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("score", [float("inf"), float("nan"), None])
def test_what_no_plot_can_show_is_unknown(score):
    scene = Drawn()
    shown = Viewer(scene)
    show(shown, 1, score)
    shown.close()
    assert scene.calls[0][5] is None


def test_a_scene_that_fails_is_told_of_once_and_harms_nobody(caplog):
    scene = Drawn(broken=("frame", "close"))
    shown = Viewer(scene)
    with caplog.at_level(logging.WARNING):
        for stamp_ns in range(4):
            show(shown, stamp_ns)
        shown.keyframe("front", 4, "interval", 0.2)
        shown.close()
    assert shown.errors == 5 and "keyframe" in scene.names()
    first, summary = [record.getMessage() for record in caplog.records]
    assert first.endswith("further errors are only counted: frame is out of order")
    assert summary.startswith("viewer: 5 frames or events could not be shown, 0 were left out")


def test_a_live_viewer_that_hangs_holds_nobody_up():
    gate = threading.Event()
    scene = Drawn(gate=gate)
    shown = Viewer(scene)
    show(shown, 0)
    assert scene.entered.wait(60)  # the thread has taken this one, so the queue is empty
    for stamp_ns in range(1, viewer._WAITING + 4):
        show(shown, stamp_ns)
    assert shown.left_out == 3
    gate.set()
    shown.close()
    assert [call[2] for call in scene.calls[:-1]] == list(range(viewer._WAITING + 1))


def test_a_file_gets_every_frame():
    gate = threading.Event()
    scene = Drawn(gate=gate)
    shown = Viewer(scene, complete=True)
    frames = viewer._WAITING + 5

    def produce():
        for stamp_ns in range(frames):
            show(shown, stamp_ns)

    producer = threading.Thread(target=produce)
    producer.start()
    assert scene.entered.wait(60)
    gate.set()
    producer.join(60)
    shown.close()
    assert [call[2] for call in scene.calls[:-1]] == list(range(frames)) and shown.left_out == 0


def test_a_viewer_that_hangs_at_the_end_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr(viewer, "_END_S", 0.05)
    gate = threading.Event()
    scene = Drawn(gate=gate)
    shown = Viewer(scene)
    show(shown, 0)
    shown.close()
    assert "did not end within 0.05 s: what waited for it is lost" in caplog.text
    gate.set()
    shown._thread.join(60)
    assert not shown._thread.is_alive()


@pytest.mark.parametrize("target", ["", "rviz", "rerun:native", "drive.rrd.mp4"])
def test_other_targets_are_refused(target):
    with pytest.raises(
        ValueError, match=f"viewer '{target}': use rerun, rerun:web, or the name of a file .* ends in .rrd"
    ):
        open_viewer(target)


def test_without_the_library_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rerun", None)
    monkeypatch.delitem(sys.modules, "dcfm_ros.viewer.rerun_scene", raising=False)
    with pytest.raises(ModuleNotFoundError) as caught:
        open_viewer(str(tmp_path / "a.rrd"))
    text = str(caught.value)
    assert (
        text.startswith("the viewer needs rerun-sdk")
        and "pip install 'rerun-sdk==0.41.*'" in text
        and "\n" not in text
    )
