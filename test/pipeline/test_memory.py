# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of images and features."""

import gc
import subprocess
import sys
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


PROGRAM = """
from dcfm_ros.pipeline.memory import settle_memory, share_one_heap, tune_malloc

share_one_heap()
from threading import Thread
import numpy as np, psutil

def resident_mb():
    return psutil.Process().memory_info().rss / 2**20

def use():
    features = [np.ones((16, 2**15)) for _ in range(40)]  # 4 MiB each
    del features[::2]

tune_malloc()
before = resident_mb()
for _ in range(3):
    thread = Thread(target=use)
    thread.start()
    thread.join()
    use()
kept = resident_mb() - before
settle_memory()
print(kept, resident_mb() - before)
"""


@pytest.mark.slow
def test_freed_memory_is_kept_for_the_next_frames_and_returned_where_asked_for():
    """All threads take it from the same place, so that 160 MiB are enough for each in turn."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept_mb, left_mb = map(float, ended.stdout.split())
    assert 150 < kept_mb < 180
    assert left_mb < 5
