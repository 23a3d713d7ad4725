# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay: every image once, in order, the same masks each time; what cannot be used is told, not passed
over."""

import threading

import pytest
from bags_helpers import PERIOD_NS, START_NS, drive, write_bag
from helpers import own_mask, tiny_model

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.replay import Replay, Skipped, check_images
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.motion.track import MotionKind
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig

MODEL = tiny_model()


def replayed(path, config=PipelineConfig(Mode.SYNC), **options):
    """(results, keyframe events, replay) of a whole recording."""
    events = []
    with (
        open_bag(path) as bag,
        Replay(bag, choose_cameras(bag), MODEL, "torch", "f32", config, events.append, **options) as replay,
    ):
        return list(replay.run()), events, replay


def summary(results):
    """All that must not depend on the machine."""
    return [
        (
            r.frame.camera,
            r.frame.context.number,
            r.frame.stamp_ns,
            r.mask.tobytes(),
            r.is_keyframe,
            r.score,
            r.feature_age_frames,
            r.alignment.value,
            r.motion_px,
        )
        if not isinstance(r, Skipped)
        else (r.number, r.error.kind)
        for r in results
    ]


@pytest.mark.slow
@pytest.mark.parametrize("storage, encoding", [("mcap", "bgr8"), ("sqlite3", "png")])
def test_the_same_masks_and_keyframes_each_time_whatever_the_form(tmp_path, storage, encoding):
    first, events, _ = replayed(write_bag(tmp_path / "a", 25))
    again, events_again, _ = replayed(write_bag(tmp_path / "b", 25, storage=storage, encoding=encoding))
    assert summary(first) == summary(again)
    told = [
        [(e.index, e.reason, e.score, e.interval_frames) for e in some] for some in (events, events_again)
    ]
    assert told[0] == told[1] and len(told[0]) > 2
    assert sum(r.alignment is MotionKind.FLOW and r.motion_px > 1 for r in first) > 10
    assert [r.frame.stamp_ns for r in first] == [START_NS + number * PERIOD_NS for number in range(25)]
    assert {r.frame.context.header.frame_id for r in first} == {"camera_0"}


@pytest.mark.slow
def test_with_every_frame_a_keyframe_masks_are_the_models_own(tmp_path):
    config = PipelineConfig(Mode.SYNC, SchedulerConfig(min_interval=1, max_interval=1))
    results, _, _ = replayed(write_bag(tmp_path / "bag", 4), config)
    for result, picture in zip(results, drive(4)):
        assert (result.mask == own_mask(MODEL, picture)).mean() > 0.999


@pytest.mark.slow
def test_two_sided_gives_every_mask_once(tmp_path):
    results, _, _ = replayed(write_bag(tmp_path / "bag", 25), PipelineConfig(Mode.TWO_SIDED))
    assert [r.frame.context.number for r in results] == list(range(25))


def test_several_cameras_go_their_own_way(tmp_path):
    both, _, replay = replayed(write_bag(tmp_path / "both", 15, topics=("/front/image", "/rear/image")))
    assert [r.frame.camera for r in both[:4]] == ["front", "rear"] * 2
    alone, _, _ = replayed(write_bag(tmp_path / "alone", 15, topics=("/front/image",)))
    assert [r.mask.tobytes() for r in both if r.frame.camera == "front"] == [r.mask.tobytes() for r in alone]
    assert {name: record.masks for name, record in replay.cameras.items()} == {"front": 15, "rear": 15}


@pytest.mark.parametrize("encoding, kind", [("jpeg", "decode"), ("rgb8", "data")])
def test_a_corrupt_image_is_skipped_and_the_rest_goes_on(tmp_path, encoding, kind):
    results, _, replay = replayed(write_bag(tmp_path / "bag", 12, encoding=encoding, corrupt=(0, 5)))
    skipped = [r for r in results if isinstance(r, Skipped)]
    assert [(s.number, s.error.kind) for s in skipped] == [(0, kind), (5, kind)]
    record = replay.cameras[""]
    assert (record.images, record.masks, record.skipped) == (12, 10, {kind: 2})
    assert len(record.examples) == 2 and record.examples[0].startswith(
        f"at {(START_NS + 2_000_000) / 1e9:.3f} s: "
    )


def test_stamps_that_jump_back_begin_anew_and_equal_ones_do_not(tmp_path):
    stamps = {6: 2 * PERIOD_NS, 7: 2 * PERIOD_NS}
    results, events, replay = replayed(write_bag(tmp_path / "bag", 12, stamps=stamps))
    assert len(results) == 12
    assert [r.frame.context.resets for r in results] == [0] * 6 + [1] * 6
    assert (6, "reset") in [(e.index, e.reason.value) for e in events]
    record = replay.cameras[""]
    assert (record.out_of_order, record.equal_stamps, record.resets) == (1, 1, 1)


@pytest.mark.slow
def test_without_stamps_time_is_that_of_the_log(tmp_path):
    """The keyframe budget goes on as with stamps, the same each time."""
    config = PipelineConfig(Mode.SYNC, SchedulerConfig(1, 2, keyframe_budget_hz=2.0))
    good = [r.is_keyframe for r in replayed(write_bag(tmp_path / "good", 60), config)[0]]
    path = write_bag(tmp_path / "bag", 60, stamps=dict.fromkeys(range(60), 0))
    (results, _, replay), (again, *_) = replayed(path, config), replayed(path, config)
    assert [r.is_keyframe for r in results] == good and summary(results) == summary(again)
    assert (replay.cameras[""].equal_stamps, replay.cameras[""].resets) == (59, 0)
    assert replay.cameras[""].notes("/camera") == [
        "/camera: the camera had no clock: 59 of 60 images repeat the stamp of the previous one. Gaps and "
        "the keyframe budget are measured in log time; make the driver fill header.stamp"
    ]


def test_another_size_on_the_way_begins_anew(tmp_path):
    results, _, replay = replayed(write_bag(tmp_path / "bag", 12, sizes={4: (48, 64), 8: (64, 96)}))
    assert [r.mask.shape for r in results] == [(64, 96)] * 4 + [(48, 64)] * 4 + [(64, 96)] * 4
    assert [r.frame.context.resets for r in results] == [0] * 4 + [1] * 4 + [2] * 4
    assert replay.cameras[""].sizes == [(96, 64), (64, 48)]


def test_it_can_begin_at_a_keyframe(tmp_path):
    """What resuming relies on: from a keyframe on all is as if the recording had begun there."""
    path = write_bag(tmp_path / "bag", 25)
    whole, events, _ = replayed(path)
    start = [e.index for e in events][2]
    rest, _, _ = replayed(path, first={"": start})
    assert any(r.alignment is MotionKind.FLOW for r in rest)
    assert (
        summary(rest)[1:] == summary(whole[start:])[1:]
        and rest[0].mask.tobytes() == whole[start].mask.tobytes()
    )


def test_the_rate_is_that_of_the_log(tmp_path):
    _, _, replay = replayed(write_bag(tmp_path / "bag", 12))
    assert replay.cameras[""].rate_hz == pytest.approx(15.0, rel=1e-3)


def test_a_recording_of_which_nothing_can_be_used(tmp_path):
    path = write_bag(tmp_path / "bag", 3, encoding="jpeg", corrupt=range(3))
    _, _, replay = replayed(path)
    with (
        open_bag(path) as bag,
        pytest.raises(BagError, match="none of the 3 images can be used; at .* s: compressed image of"),
    ):
        check_images(bag, replay)


def test_mode_async_is_left_to_the_live_node(tmp_path):
    with (
        open_bag(write_bag(tmp_path / "bag", 1)) as bag,
        pytest.raises(ValueError, match="mode async depends on the machine"),
    ):
        Replay(bag, choose_cameras(bag), MODEL, config=PipelineConfig(Mode.ASYNC))


def test_a_deep_path_that_fails_ends_the_replay(tmp_path, monkeypatch):
    with open_bag(write_bag(tmp_path / "bag", 3)) as bag:
        with Replay(bag, choose_cameras(bag), MODEL, "torch", "f32") as replay:

            def fails(*arguments):
                raise RuntimeError("out of memory")

            monkeypatch.setattr(replay.segmenter.backend, "deep", fails)
            with pytest.raises(
                RuntimeError, match="no keyframe for an image of .*bag: keyframe encoder: out of memory"
            ):
                list(replay.run())


def test_leaving_early_ends_all_threads(tmp_path):
    before = set(threading.enumerate())
    with open_bag(write_bag(tmp_path / "bag", 25)) as bag:
        with Replay(bag, choose_cameras(bag), MODEL, "torch", "f32") as replay:
            run = replay.run()
            next(run)
            run.close()
    assert not [
        t for t in set(threading.enumerate()) - before if t.name.startswith(("reading", "dcfm-encoder"))
    ]
