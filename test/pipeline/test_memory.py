# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of images and features."""

import gc
import weakref

import pytest

from dcfm_ros.pipeline.memory import keep_what_is_there


class Node:
    def __init__(self):
        self.self = self  # only the garbage collector ends it


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


def test_garbage_of_before_goes_and_what_is_there_is_left_alone():
    garbage, kept = weakref.ref(Node()), Node()
    keep_what_is_there()
    assert garbage() is None and gc.get_freeze_count() > 1000
    assert not any(thing is kept for thing in gc.get_objects())


def test_what_was_there_is_collected_the_next_time():
    kept = Node()
    keep_what_is_there()
    gone = weakref.ref(kept)
    del kept
    gc.collect()
    assert gone() is not None
    keep_what_is_there()
    assert gone() is None
