# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of images and features."""

import gc
import weakref

import pytest

from dcfm_ros.pipeline.memory import settle_memory


class Node:
    def __init__(self):
        self.self = self  # only the garbage collector ends it


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


@pytest.mark.slow
def test_garbage_of_before_goes_and_what_is_there_is_left_alone():
    garbage, kept = weakref.ref(Node()), Node()
    settle_memory()
    assert garbage() is None and gc.get_freeze_count() > 1000
    assert not any(thing is kept for thing in gc.get_objects())


@pytest.mark.slow
def test_what_was_there_is_collected_the_next_time():
    kept = Node()
    settle_memory()
    gone = weakref.ref(kept)
    del kept
    gc.collect()
    assert gone() is not None
    settle_memory()
    assert gone() is None
