# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading ahead in a thread."""

import threading

import numpy as np
import pytest
from evaluation_helpers import make_clip

from dcfm_ros.evaluation.read_ahead import ClipReader, ahead


def test_results_come_in_order_from_another_thread():
    threads = set()

    def read(index):
        threads.add(threading.current_thread().name)
        return index * index

    assert list(ahead((read(index) for index in range(50)), 4)) == [index * index for index in range(50)]
    assert len(threads) == 1 and threading.current_thread().name not in threads


def test_no_more_than_asked_for_is_read_ahead():
    asked = []
    results = ahead((asked.append(index) for index in range(100)), 3)
    next(results)
    results.close()
    assert len(asked) <= 4


def test_an_error_comes_where_its_result_is_due():
    def read(index):
        if index == 2:
            raise ValueError("third.png cannot be read")
        return index

    results = ahead(read(index) for index in range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="third.png"):
        next(results)


def test_closing_ends_the_thread():
    results = ahead(range(10**9), 2)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reading")]


def test_pictures_have_the_networks_size_and_labels_their_own():
    clip = make_clip(3, size=(90, 120), labelled=[1])
    reader = ClipReader(clip, (64, 96))
    assert reader(0).image.shape == (64, 96, 3) and reader(0).label is None
    assert reader(1).label.shape == (90, 120) and np.array_equal(reader(1).label, clip.labels[1])
    assert ClipReader(clip, (64, 96), labels=False)(1).label is None


@pytest.mark.parametrize("size", [(48, 85), (90, 120)])
def test_pictures_of_exactly_the_models_size(size):
    clip = make_clip(1, size=(90, 120))
    assert ClipReader(clip, size)(0).image.shape[:2] != size
    picture = ClipReader(clip, size, exact=True)(0)
    assert picture.image.shape == (*size, 3) and picture.label.shape == (90, 120)
    assert size != (90, 120) or np.array_equal(picture.image, clip.images[0])
