# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features are computed once, kept within bounds, and the same whether kept or not."""

import numpy as np
import pytest
from evaluation_helpers import MemoryClip, NotingBackend, logits_of, make_clip

from dcfm_ros.evaluation import feature_store as module
from dcfm_ros.evaluation.feature_store import FeatureStore
from dcfm_ros.evaluation.read_ahead import ClipReader
from dcfm_ros.motion.track import MotionTrack


@pytest.fixture
def clip():
    return make_clip(6)


def make_store(clip, memory_bytes):
    backend = NotingBackend()
    return FeatureStore(backend, ClipReader(clip, (64, 96)), memory_bytes), backend


def test_everything_is_made_once(clip):
    store, backend = make_store(clip, 10**9)
    for _ in range(3):
        for index in (2, 0, 5):
            assert store.common(index)[0] == store.shallow(index)[0] == index + 1
            assert np.array_equal(store.label(index), clip.labels[index])
    assert backend.shallows == backend.deeps == clip.read == [2, 0, 5]


def test_pictures_that_were_read_already_are_not_read_again(clip):
    store, _backend = make_store(clip, 10**9)
    reader = ClipReader(clip, (64, 96))
    for index in range(6):
        store.put(index, reader(index))
    for index in range(6):
        store.common(index), store.label(index)
    assert clip.read == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("memory_bytes", [1, 100, 30_000])
def test_less_memory_gives_the_same(clip, memory_bytes):
    store, _backend = make_store(clip, memory_bytes)
    for _ in range(2):
        for index in range(6):
            assert store.common(index)[0] == store.shallow(index)[0] == index + 1
            assert np.array_equal(store.label(index), clip.labels[index])
            assert store._bytes == sum(value.nbytes for value in store._kept.values()) <= memory_bytes
    assert len(clip.read) > 6


def test_what_was_used_last_stays():
    store, backend = make_store(make_clip(6), 4 * 24)  # four features
    store.common(0), store.common(1)  # S and common contribution of each
    store.common(0)
    store.shallow(2)  # S of 0, used least recently, makes room
    store.common(0), store.common(1)
    assert backend.deeps == [0, 1]
    store.shallow(0)
    assert backend.shallows.count(0) == 2


WAYS = [(5, 0), (5, 4), (3, 1), (0, 5), (4, 5), (1, 3), (2, 2)]  # back, forth, and none


@pytest.fixture(scope="module")
def moving():
    return make_clip(8, motion=3.0, least=1.0)


@pytest.fixture(scope="module")
def live(moving):
    """`live(frame, other)`: the map as it is found live, when the newer of both frames comes."""
    track, found = MotionTrack(both_ways=True), {}
    for index, image in enumerate(moving.images):
        track.add(image, index, range(8))
        for other in range(index + 1):
            found[index, other], found[other, index] = (
                track.motion(index, other).map,
                track.motion(other, index).map,
            )
    return lambda frame, other: found[frame, other]


def alike(first, second):
    return first is second is None or np.array_equal(first, second)


@pytest.mark.parametrize("memory_bytes", [1, 3_000, 50_000, 10**9])
@pytest.mark.parametrize("order", [1, -1])
def test_maps_are_those_of_the_live_pipeline(moving, live, memory_bytes, order):
    """Whatever was asked before, and whether it is kept."""
    moving.read.clear()
    store, backend = make_store(moving, memory_bytes)
    for _ in range(2):
        for way in WAYS[::order]:
            found = store.motion(*way)
            assert alike(found, live(*way)) and (found is None) == (way == (2, 2)), way
            assert store._bytes == sum(value.nbytes for value in store._kept.values()) <= memory_bytes
    assert backend.shallows == []
    assert sorted(moving.read) == list(range(6)) if memory_bytes == 10**9 else len(moving.read) > 6


def test_all_maps_of_a_clip_are_those_of_the_live_pipeline(moving, live):
    store, _ = make_store(moving, 10**9)
    ways = [(frame, other) for frame in range(8) for other in range(8)]
    assert all(
        alike(store.motion(*ways[at]), live(*ways[at])) for at in np.random.default_rng(0).permutation(64)
    )
    lengths = [np.abs(live(7, other)).max() for other in (6, 4, 0)]
    assert lengths == sorted(lengths) and lengths[-1] > 3  # cells


def test_flow_is_that_of_adjacent_frames_and_computed_once(moving, monkeypatch):
    asked, flow = [], module.flow_map
    monkeypatch.setattr(module, "flow_map", lambda *views: asked.append(1) or flow(*views))
    store, _ = make_store(moving, 10**9)
    for _ in range(2):
        for way in WAYS:
            store.motion(*way)
    assert len(asked) == 5 + 5  # each of the six frames to the one before it, and back


@pytest.mark.parametrize(
    "still", [np.full((64, 96, 3), 90, np.uint8), make_clip(1).images[0]], ids=["plain", "textured"]
)
def test_where_nothing_moves_or_nothing_explains_features_stay(still):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    store, _ = make_store(MemoryClip([still, still, noise, still], {}), 10**9)
    assert store.motion(1, 0) is store.motion(0, 1) is store.motion(3, 0) is None


@pytest.mark.parametrize("moves, read", [(True, list(range(6))), (False, list(range(6)) * 2)])
def test_of_a_picture_that_goes_what_motion_needs_is_kept(moving, moves, read):
    moving.read.clear()
    store = FeatureStore(NotingBackend(), ClipReader(moving, (64, 96)), 10**9, moves)
    for index in range(6):
        store.common(index)
    store.motion(5, 0)
    assert sorted(moving.read) == sorted(read)


@pytest.mark.parametrize("memory_bytes", [1, 10**9])
def test_logits_stay_as_they_were_though_a_decode_reuses_its_memory(clip, memory_bytes):
    class Reusing(NotingBackend):
        def decode(self, shallow, commons, motions=()):
            logits = super().decode(shallow, commons, motions)
            self.memory = getattr(self, "memory", np.empty_like(logits))
            self.memory[:] = logits
            return self.memory

    store = FeatureStore(Reusing(), ClipReader(clip, (64, 96)), memory_bytes)
    logits = [store.logits(index) for index in range(4)]
    for _ in range(2):
        for index, kept in enumerate(logits):
            wanted = logits_of(index, (index,)).transpose(1, 2, 0)[None]
            assert np.array_equal(kept, wanted) and np.array_equal(store.logits(index), wanted)
            assert kept.dtype == np.float32 and kept.flags.c_contiguous
