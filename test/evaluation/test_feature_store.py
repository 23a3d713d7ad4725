# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features are computed once, kept within bounds, and the same whether kept or not."""
import numpy as np
import pytest
from evaluation_helpers import NotingBackend, make_clip

from dcfm_ros.evaluation.feature_store import FeatureStore
from dcfm_ros.evaluation.reading import ClipReader


@pytest.fixture
def clip():
    return make_clip(6)


def make_store(clip, memory_bytes):
    backend = NotingBackend()
    return FeatureStore(backend, ClipReader(clip, (64, 96)), memory_bytes), backend


def test_everything_is_made_once(clip):
    store, backend = make_store(clip, 10 ** 9)
    for _ in range(3):
        for index in (2, 0, 5):
            assert store.common(index)[0] == store.shallow(index)[0] == index + 1
            assert np.array_equal(store.label(index), clip.labels[index])
    assert backend.shallows == backend.deeps == clip.read == [2, 0, 5]


def test_pictures_that_were_read_already_are_not_read_again(clip):
    store, backend = make_store(clip, 10 ** 9)
    reader = ClipReader(clip, (64, 96))
    for index in range(6):
        store.put(index, reader(index))
    for index in range(6):
        store.common(index), store.label(index)
    assert clip.read == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("memory_bytes", [1, 100, 30_000])
def test_less_memory_gives_the_same(clip, memory_bytes):
    store, backend = make_store(clip, memory_bytes)
    for _ in range(2):
        for index in range(6):
            assert store.common(index)[0] == store.shallow(index)[0] == index + 1
            assert np.array_equal(store.label(index), clip.labels[index])
            assert store._bytes == sum(value.nbytes for value in store._kept.values()) <= memory_bytes
    assert len(clip.read) > 6


def test_what_was_used_last_stays():
    store, backend = make_store(make_clip(6), 4 * 24)   # four features
    store.common(0), store.common(1)            # S and common contribution of each
    store.common(0)
    store.shallow(2)                            # S of 0, used least recently, makes room
    store.common(0), store.common(1)
    assert backend.deeps == [0, 1]
    store.shallow(0)
    assert backend.shallows.count(0) == 2
