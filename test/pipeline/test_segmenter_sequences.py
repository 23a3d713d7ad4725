# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segmenter: keyframes and frames after failures, and at the end of a sequence."""

from concurrent.futures import Future

import pytest
from pipeline_helpers import PERIOD_NS, TIMEOUT_S, Slices, acquire, settle, until_it_waits
from segmenter_helpers import MODES, bench, numbers  # noqa: F401
from waiting_helpers import until

from dcfm_ros.pipeline.frames import Reason
from dcfm_ros.pipeline.keyframe import Keyframe
from dcfm_ros.pipeline.settings import Mode, SchedulerConfig
from dcfm_ros.pipeline.stream import run

# Failures


def test_sync_failing_encoder_masks_go_on_and_the_next_frame_tries_again(bench):
    bench = bench(Mode.SYNC, max_interval=3)
    bench.process(0, 1, 2)
    bench.backend.deep_error = RuntimeError("out of memory")
    masks = bench.process(3, 4)
    assert [mask.feature_age_frames for mask in masks] == [3, 4] and all(mask.is_keyframe for mask in masks)
    assert [str(bench.error()) for _ in range(2)] == ["keyframe encoder: out of memory"] * 2
    status = bench.status()
    assert (
        status.encode_failures == 2 and status.keyframes == 1 and status.masks == 5 and status.failures == 0
    )
    assert "out of memory" in status.last_error
    bench.backend.deep_error = None
    (mask,) = bench.process(5)
    assert mask.is_keyframe and mask.feature_age_frames == 0
    assert [bench.keyframe().index for _ in range(2)] == [0, 5]


def test_async_failing_encoder_masks_go_on(bench):
    bench = bench(max_interval=3)
    bench.process(0)
    bench.backend.deep_error = RuntimeError("out of memory")
    masks = []
    for tag in range(1, 8):
        masks += bench.process(tag)
        if masks[-1].is_keyframe:
            bench.error()
    assert [mask.feature_age_frames for mask in masks] == list(range(1, 8))
    assert [mask.is_keyframe for mask in masks] == [False, False] + [True] * 5
    bench.backend.deep_error = None
    bench.process(8)
    assert [bench.keyframe().index for _ in range(2)] == [0, 8]


@pytest.mark.parametrize("mode", MODES)
def test_first_keyframe_that_fails_gives_no_mask_and_is_tried_on_the_next_frame(bench, mode):
    bench = bench(mode)
    bench.backend.deep_error = RuntimeError("out of memory")
    assert bench.process(0, 1) == [] and bench.segmenter.flush() == []
    status = bench.status()
    assert status.masks == 0 and status.encode_failures == 2 and not status.has_feature
    bench.backend.deep_error = None
    (mask,) = bench.process(2)
    assert (mask.index, mask.is_keyframe, mask.feature_age_frames) == (2, True, 0)
    assert bench.keyframe().reason is Reason.FIRST


@pytest.mark.parametrize("mode", MODES)
def test_frame_whose_shallow_path_fails_raises_and_the_next_works(bench, mode):
    bench = bench(mode, max_interval=1)
    bench.process(0)
    bench.backend.shallow_error = RuntimeError("no memory")
    with pytest.raises(RuntimeError, match="no memory"):
        bench.process(1)
    bench.backend.shallow_error = None
    assert numbers(bench.process(2)) == [2]


def test_keyframe_callback_that_raises_does_not_cost_masks(bench):
    def publish(event):
        raise ValueError("publisher is gone")

    bench = bench(Mode.SYNC, max_interval=1, on_keyframe=publish)
    masks = bench.process(0, 1, 2)
    assert [mask.feature_age_frames for mask in masks] == [0, 0, 0]  # the feature is there all the same
    assert [str(error) for error in bench.errors] == ["keyframe event: publisher is gone"] * 3
    assert bench.status().publish_failures == 3 and bench.status().failures == 0


# New sequences


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "change",
    [
        dict(size=(96, 64)),
        dict(size=(128, 192)),
        dict(stamp_ns=0),
        dict(stamp_ns=2 * PERIOD_NS + 2_000_000_001),
    ],
    ids=["other shape", "other resolution", "time jumps back", "silence"],
)
def test_what_begins_a_new_sequence(bench, mode, change):
    bench = bench(mode)
    bench.process(0, 1, 2)
    assert bench.status().resets == 0
    mask = bench.process(3, **change)[-1]
    assert mask.is_keyframe and (mask.index, mask.feature_age_frames, mask.score) == (3, 0, 0.0)
    assert [bench.keyframe().reason for _ in range(2)] == [Reason.FIRST, Reason.RESET]
    assert bench.status().resets == 1 and bench.status().size == mask.mask.shape


@pytest.mark.parametrize(
    "gap_ns, resets", [(0, 0), (PERIOD_NS, 0), (2_000_000_000, 0), (2_000_000_001, 1), (-1, 1)]
)
def test_stamps_that_do_not_fit_begin_a_new_sequence(bench, gap_ns, resets):
    bench = bench(Mode.SYNC)
    first = 10**18
    bench.process(0, stamp_ns=first)
    bench.process(1, stamp_ns=first + gap_ns)
    assert bench.status().resets == resets


@pytest.mark.parametrize("error", [None, RuntimeError("out of memory")], ids=["result", "failure"])
@pytest.mark.parametrize(
    "change", [dict(size=(96, 64)), dict(stamp_ns=0)], ids=["other shape", "time jumps back"]
)
def test_what_comes_late_from_the_old_sequence_is_discarded(bench, change, error):
    bench = bench(max_interval=2)
    bench.process(0)
    bench.block()
    bench.process(1, 2)
    acquire(bench.backend.deep_started)  # the deep path is busy with 2
    steps = bench.steps(3, **change)
    awaited = until_it_waits(steps)
    bench.backend.deep_error = error
    bench.backend.deep_errors_left = 1
    bench.backend.gate.set()
    settle(awaited)
    (mask,) = run(steps)
    assert numbers([mask]) == [3] and mask.feature_age_frames == 0
    assert bench.backend.encoded == ([0, 2, 3] if error is None else [0, 3])
    assert bench.backend.decoded[-1] == (3, [3])
    assert [bench.keyframe().index for _ in range(2)] == [0, 3] and not bench.keyframes
    assert bench.status().keyframes == 2 and bench.status().resets == 1


CUT, ORDINARY = dict(scene=250), dict()


@pytest.mark.parametrize(
    "first, second, budget_hz, encoded",
    [
        (ORDINARY, CUT, 0.0, [0, 2]),
        (ORDINARY, dict(stamp_ns=0), 0.0, [0, 2]),
        (ORDINARY, ORDINARY, 0.0, [0, 1, 2]),
        (CUT, dict(scene=10), 0.0, [0, 1, 2]),
        (ORDINARY, CUT, 0.01, [0, 1]),
    ],
    ids=[
        "hard cut",
        "new sequence",
        "ordinary",
        "cuts in a row do not end each other",
        "no budget for another",
    ],
)
def test_what_runs_ends_with_its_slice_where_it_has_become_useless(bench, first, second, budget_hz, encoded):
    bench = bench(max_interval=1)
    bench.process(0)
    bench.segmenter.reconfigure(SchedulerConfig(1, 1, keyframe_budget_hz=budget_hz))  # one is saved up
    slices = Slices(bench.backend)
    bench.block()
    bench.process(1, **first)
    acquire(bench.backend.deep_started)  # the first slice of 1 is at work
    awaited = until_it_waits(steps := bench.steps(2, **second))
    bench.backend.gate.set()
    slices.go.release(10)
    while bench.keyframe().index != encoded[-1]:
        pass
    if awaited is not None:
        settle(awaited)
        assert len(run(steps)) == 1
    assert bench.backend.encoded == encoded and bench.status().encode_failures == 0


def test_a_deep_path_that_does_not_return_is_told_and_does_not_stop_masks(bench, monkeypatch):
    bench = bench(max_interval=1)
    bench.process(0)
    bench.block()
    masks = bench.process(*range(1, 6))
    assert numbers(masks) == list(range(1, 6))
    until(lambda: bench.status().encoding_s > 0.05, TIMEOUT_S)
    assert bench.status().slow_encodes == 0
    monkeypatch.setattr("dcfm_ros.pipeline.stream.STALLED_S", 0.05)
    bench.backend.gate.set()
    while bench.keyframe().index != 5:
        pass
    assert bench.status().slow_encodes >= 1 and bench.status().encoding_s == 0.0


def test_two_keyframes_that_end_while_they_are_looked_at_are_taken_in_their_order(bench, monkeypatch):
    """Else the feature in use would become older."""
    bench, made, looked_at = bench(max_interval=1), [], []

    def make(*arguments, **options):
        made.append(Keyframe(*arguments, **options))
        return made[-1]

    def watch(outcome):
        """Right after the first look at one of them, both end."""
        really = outcome.done

        def done():
            found = really()
            if not looked_at:
                looked_at.append(outcome)
                bench.backend.gate.set()
                for keyframe in made:
                    settle(keyframe.outcome)
            return found

        outcome.done = done

    bench.process(0)
    bench.block()
    monkeypatch.setattr("dcfm_ros.pipeline.stream.Keyframe", make)
    bench.process(1, 2)
    for keyframe in made:
        watch(keyframe.outcome)
    ages = []
    for _ in range(2):
        bench.segmenter.collect()
        ages.append(bench.status().feature_age_frames)
    assert looked_at and ages == [1, 0] and [bench.keyframe().index for _ in range(3)] == [0, 1, 2]


def test_a_frame_that_cannot_be_decoded_costs_no_other_its_mask(bench):
    """Case of mode two_sided, in which several masks are made at once."""
    bench = bench(Mode.TWO_SIDED, max_interval=4)
    masks, mask = bench.process(0, 1, 2, 3), bench.backend.mask

    def fails(shallow, *arguments):
        if shallow[0] in (2, 4):
            raise RuntimeError("decoder broken")
        return mask(shallow, *arguments)

    bench.backend.mask = fails
    steps = bench.steps(4)
    with pytest.raises(
        RuntimeError, match="decoder broken"
    ):  # its own error comes after the masks of those before it
        masks.extend(steps)
    assert numbers(mask for mask in masks if not isinstance(mask, Future)) == [0, 1, 3]
    assert [str(error) for error in bench.errors] == ["decoder broken"] and bench.status().failures == 1
