# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever the fields of a message say: it is decoded to an image of its size, or refused with a reason."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dcfm_ros.pipeline.decoding import SUPPORTED_ENCODINGS, MessageError, decode_compressed, decode_image

hypothesis = pytest.importorskip(
    "hypothesis", reason="hypothesis is not installed; requirements/test.txt has it"
)
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {"encoding", "size", "data", "decode"}
SIDES = st.one_of(st.integers(0, 40), st.sampled_from((16384, 16385, 2**31, 2**32 - 1)))
ENCODINGS = st.one_of(st.sampled_from(SUPPORTED_ENCODINGS), st.text(max_size=12))


def check(decode, message, size=None):
    try:
        decoded = decode(message)
    except MessageError as error:
        assert error.kind in KINDS and len(str(error)) < 1200
        return
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.ndim == 3 and decoded.pixels.shape[2] == 3
    assert size is None or decoded.pixels.shape[:2] == size
    decoded.pixels.sum()  # every byte of it is there


@settings(max_examples=600, deadline=None, derandomize=True)
@given(SIDES, SIDES, SIDES, ENCODINGS, st.integers(0, 255), st.binary(max_size=3000))
def test_raw_images(width, height, step, encoding, is_bigendian, data):
    message = SimpleNamespace(
        width=width, height=height, step=step, encoding=encoding, is_bigendian=is_bigendian, data=data
    )
    check(decode_image, message, (height, width))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.sampled_from((".jpg", ".png")),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
    st.text(max_size=30),
)
def test_damaged_pictures(ending, changes, kept, text):
    picture = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    data = bytearray(cv2.imencode(ending, picture)[1].tobytes())
    for place, value in changes:
        data[int(place * len(data))] = value
    check(decode_compressed, SimpleNamespace(format=text, data=bytes(data[: int(kept * len(data))])))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60), st.binary(max_size=400))
def test_any_bytes(text, data):
    check(decode_compressed, SimpleNamespace(format=text, data=data))
