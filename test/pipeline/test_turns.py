"""Frames go first, and the deep path still gets on."""

import threading

from dcfm_ros.pipeline.turns import Turns

SOON_S = 5.0


def slice_passes(turns: Turns) -> threading.Event:
    """An event that is set when a slice on another thread has been let through."""
    passed = threading.Event()
    threading.Thread(target=lambda: (turns.give_way(), passed.set()), daemon=True).start()
    return passed


def test_without_a_frame_slices_pass_at_once():
    turns = Turns(sliced=True)
    turns.give_way()
    with turns.frame():
        pass
    turns.give_way()


def test_a_slice_waits_for_the_frame_in_work(monkeypatch):
    monkeypatch.setattr("dcfm_ros.pipeline.turns._LONGEST_WAIT_S", 60.0)
    turns = Turns(sliced=True)
    with turns.frame():
        passed = slice_passes(turns)
        assert not passed.wait(0.05)
    assert passed.wait(SOON_S)


def test_a_frame_that_waits_for_the_deep_path_lets_it_run(monkeypatch):
    monkeypatch.setattr("dcfm_ros.pipeline.turns._LONGEST_WAIT_S", 60.0)
    turns = Turns(sliced=True)
    with turns.frame():
        with turns.pause():
            assert slice_passes(turns).wait(SOON_S)
        assert not slice_passes(turns).wait(0.05)


def test_a_stuck_frame_does_not_hold_the_deep_path_up_for_ever():
    turns = Turns(sliced=True)
    with turns.frame():
        assert slice_passes(turns).wait(SOON_S)


def test_concurrent_never_waits(monkeypatch):
    monkeypatch.setattr("dcfm_ros.pipeline.turns._LONGEST_WAIT_S", 60.0)
    turns = Turns(sliced=False)
    with turns.frame():
        turns.give_way()


def test_a_frame_that_fails_ends_its_turn():
    turns = Turns(sliced=True)
    try:
        with turns.frame():
            raise RuntimeError("bad frame")
    except RuntimeError:
        pass
    turns.give_way()
