# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The offline protocol where features, or logits, move along."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from evaluation_helpers import CLASSES, SIZE, MemoryClip, make_clip
from protocol_helpers import (  # noqa: F401
    RESIDUALS,
    SCHEDULER,
    THRESHOLDS,
    backend,
    counts_of,
    model,
    noted_mask,
    own_classes,
    run,
)

from dcfm_ros.evaluation.feature_store import FeatureStore
from dcfm_ros.evaluation.protocol import Network
from dcfm_ros.evaluation.read_ahead import ClipReader
from dcfm_ros.evaluation.schedule import ALIGNMENTS, Schedule, serving
from dcfm_ros.metrics.consistency import consistency_windows
from dcfm_ros.motion.track import MotionKind, MotionTrack
from dcfm_ros.pipeline.backends.base import MasksOnHost
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.scheduler import KeyframeScheduler
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Alignment, PipelineConfig, SchedulerConfig


@pytest.mark.parametrize("live_mode, cut", [("sync", 24), ("sync", 13), ("two_sided", 24)])
@pytest.mark.parametrize(
    "alignment, motion, threshold",
    [
        *(("none", 8.0, threshold) for threshold in THRESHOLDS),
        *(("flow", 5.0, threshold) for threshold in RESIDUALS),
    ],
)
def test_masks_and_adaptive_keyframes_are_those_of_the_live_segmenter(
    backend, live_mode, cut, alignment, motion, threshold
):
    """Also where there is a hard cut."""
    mode = "causal" if live_mode == "sync" else live_mode
    clip, schedule = make_clip(24, motion=motion), Schedule(mode, threshold=threshold, alignment=alignment)
    clip.images[cut:] = make_clip(24 - cut, seed=1, motion=motion).images
    results, _ = run([clip], schedule, backend=backend)
    scheduler = SchedulerConfig(
        SCHEDULER.min_interval, SCHEDULER.max_interval, threshold, SCHEDULER.cut_threshold
    )
    keyframes = []
    segmenter = Segmenter(
        backend,
        SIZE,
        PipelineConfig(mode=live_mode, scheduler=scheduler, alignment=alignment),
        on_keyframe=lambda event: keyframes.append(event.index),
    )
    try:
        live = [
            result
            for index, image in enumerate(clip.images)
            for result in segmenter.process(Frame("", index * 66_666_667, image))
        ] + segmenter.flush()
    finally:
        segmenter.stop()
    score = results.scores[0]
    masks = {result.index: result.mask for result in live}
    assert len(masks) == 24 and score.keyframes == len(keyframes) and 24 / 6 <= len(keyframes) < 24
    assert cut == 24 or cut in keyframes
    others = sorted(set(range(24)) - set(keyframes))
    for matrix, frames in ((score.on_keyframes, keyframes), (score.elsewhere, others)):
        wanted = counts_of([masks[frame] for frame in frames], [clip.labels[frame] for frame in frames])
        assert np.array_equal(matrix.counts, wanted)
    ordered = [masks[index] for index in range(24)]
    np.testing.assert_allclose(score.windows[8], consistency_windows(ordered, list(clip.labels.values()), 8))
    moved = [result.index for result in live if result.alignment is MotionKind.FLOW]
    assert len(moved) > 12 if alignment == "flow" else not moved
    network, store = (
        Network(backend, SIZE, own_classes(CLASSES)),
        FeatureStore(backend, ClipReader(clip, SIZE), 10**9),
    )
    for index in range(24):
        served = index, serving(schedule, keyframes, index), SIZE
        assert np.array_equal(network.mask(store, *served, alignment), masks[index])
        # maps matter
        assert index not in moved or not np.array_equal(network.mask(store, *served), masks[index])


@pytest.mark.parametrize(
    "schedule, maps",
    [
        (Schedule("causal", interval=3, alignment="flow"), {1: (0,), 2: (0,), 4: (3,), 5: (3,)}),
        (Schedule("two_sided", interval=3, alignment="flow"), {1: (0, 3), 2: (0, 3), 4: (3,), 5: (3,)}),
        (
            Schedule("async", interval=3, delay=1, alignment="flow"),
            {1: (0,), 2: (0,), 3: (0,), 4: (3,), 5: (3,)},
        ),
        (Schedule("causal", interval=3), {}),
        (Schedule("causal", interval=3, alignment="logits"), {}),
    ],
)
def test_of_a_frame_all_keyframes_but_itself_have_maps(schedule, maps):
    """Of the first clip of three. Moved logits take nothing of the frame: where that is no keyframe, nothing
    is computed."""
    clips = [make_clip(6, motion=2.0, least=1.0), make_clip(1), make_clip(1)]
    _, backend = run(clips, schedule)
    found = {frame: moved for (frame, _), moved in zip(backend.decoded[:6], backend.moved) if moved}
    assert found == maps
    assert sorted(backend.shallows[:-2]) == ([0, 3] if schedule.alignment == "logits" else list(range(6)))


def test_of_itself_a_keyframes_mask_is_that_of_all_alignments(backend):
    clips = [make_clip(7, seed, motion=3.0) for seed in range(3)]
    for mode in ("two_sided", "causal"):
        every, *third = (
            run(
                clips,
                *(Schedule(mode, interval=interval, alignment=way) for way in ALIGNMENTS),
                backend=backend,
            )[0].scores
            for interval in (1, 3)
        )
        assert len({score.matrix.counts.tobytes() for score in every}) == 1
        for score in third[0]:
            assert np.array_equal(score.on_keyframes.counts, third[0][0].on_keyframes.counts)
        assert len({score.elsewhere.counts.tobytes() for score in third[0]}) == 3


@pytest.mark.parametrize("threshold", RESIDUALS)
def test_alignments_that_move_share_keyframes_and_the_published_one_has_the_papers(threshold):
    clip, config = make_clip(24, motion=5.0), replace(SCHEDULER, threshold=threshold)
    results, _ = run([clip], *(Schedule("causal", threshold=threshold, alignment=way) for way in ALIGNMENTS))
    wanted = {}
    for alignment in Alignment:
        scheduler, motion = KeyframeScheduler(config.resolved(alignment)), MotionTrack()
        wanted[alignment.value] = []
        for index, image in enumerate(clip.images):
            motion.add(image, index, {scheduler.keyframe})
            if scheduler.evaluate_and_start(image, index, motion).reason is not None:
                wanted[alignment.value].append(index)
    assert wanted["flow"] != wanted["none"]
    for score in results.scores:
        keyframes = wanted["none" if score.schedule.alignment == "none" else "flow"]
        masks = [noted_mask(frame, (frame,)) for frame in keyframes]
        assert np.array_equal(
            score.on_keyframes.counts, counts_of(masks, [clip.labels[frame] for frame in keyframes])
        )


class Cells(MasksOnHost):
    """Logits are the colours of a frame's cells, whichever keyframe serves it; all are written into the same
    memory.

    `seen` notes which frames the shallow path was given, by a pixel of theirs.
    """

    name, device, precision = "cells", "cpu", "f32"

    def __init__(self):
        self.seen, self._logits = [], np.empty((3, SIZE[0] // 4, SIZE[1] // 4), np.float32)

    def shallow(self, image):
        self.seen.append(int(image[1, 1, 0]))
        return image[::4, ::4].astype(np.float32)

    def deep(self, shallow, between_slices=lambda: None):
        return shallow

    def decode(self, shallow, commons, motions=()):
        self._logits[:] = shallow.transpose(2, 0, 1)
        return self._logits


class OneCell:
    """An estimator of things that move by 2 pixels of half the size, to the left or to the right."""

    def flow(self, here, there):
        here, there = here.astype(int), there.astype(int)
        right = np.abs(here[:, :-2] - there[:, 2:]).sum() < np.abs(here[:, 2:] - there[:, :-2]).sum()
        return np.full((*here.shape, 2), (2 if right else -2, 0), np.float32)


@pytest.mark.parametrize("keyframes", [(0,), (4,), (2,), (0, 4)])
def test_moved_logits_are_the_keyframes_shifted_and_computed_of_nothing_else(keyframes):
    """What comes in at a side is as the border was. Keyframes are looked at in turn, though a decode reuses
    its memory."""
    wide = cv2.resize(
        np.random.default_rng(5).integers(0, 256, (8, 20, 3), dtype=np.uint8), (SIZE[1] + 16, SIZE[0])
    )
    clip = MemoryClip(
        [np.ascontiguousarray(wide[:, 16 - 4 * index :][:, : SIZE[1]]) for index in range(5)], {}
    )
    for index, image in enumerate(clip.images):
        image[1, 1] = index  # no cell has its colour from there
    backend = Cells()
    store = FeatureStore(backend, ClipReader(clip, SIZE), 10**9)
    store._estimator = OneCell()

    def shifted(keyframe, by):
        return (
            clip.images[keyframe][::4, ::4][:, np.clip(np.arange(24) - by, 0, 23)]
            .transpose(2, 0, 1)
            .astype(np.float32)
        )

    for frame in (1, 3):
        mask = Network(backend, SIZE, own_classes(3)).mask(store, frame, keyframes, SIZE, "logits")
        wanted = sum(shifted(keyframe, frame - keyframe) for keyframe in keyframes)
        assert np.array_equal(mask, upsampled_argmax(wanted, SIZE)) and len(np.unique(mask)) > 1
    assert backend.seen == list(keyframes)


@pytest.mark.parametrize("alignment", ["flow", "logits"])
def test_where_things_move_the_frames_between_are_read_too(alignment):
    """But computed are those alone that make masks."""
    clip = make_clip(30, labelled=[19])
    schedules = Schedule("two_sided", interval=8, alignment=alignment), Schedule("causal", interval=6)
    results, backend = run([clip, make_clip(2)], *schedules)
    assert clip.read == list(range(16, 25)) and set(backend.shallows[:4]) == {16, 18, 19, 24}
    assert results.scores[0].matrix.counts.sum() == 3 * (SIZE[0] - 3) * SIZE[1]
