# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of labelled clips: neighbours within the radius and the clip, and their labels."""

from dataclasses import dataclass

import numpy as np
import pytest

from dcfm_ros.sources.clips import ClipSet, open_clips
from dcfm_ros.training.pairs import ClipPairs, DataError

CLASSES = (("sky", (0, 0, 0)), ("road", (1, 1, 1)))


@dataclass
class Frames:
    """A clip in memory, whose images hold clip and frame number, and whose labels are one class."""

    number: int
    length: int
    labelled: tuple
    rate_hz = 15.0

    @property
    def name(self):
        return f"clip{self.number}"

    def image(self, index):
        return np.full((6, 8, 3), 20 * self.number + index, np.uint8)

    def label(self, index):
        assert index in self.labelled
        return np.full((6, 8), index % 2, np.uint8)


def pairs_of(*clips, radius=2, **options):
    return ClipPairs(ClipSet("toy train", CLASSES, clips, "toys"), radius, **options)


def draw(source, count, seed=0):
    rng = np.random.default_rng(seed)
    return [source.pair(rng) for _ in range(count)]


def frames_of(pair):
    """(clip, frame) of both images."""
    return divmod(int(pair.image[0, 0, 0]), 20), divmod(int(pair.neighbour[0, 0, 0]), 20)


@pytest.mark.parametrize("radius", (1, 3, 8))
def test_neighbours_are_drawn_evenly_within_radius_and_clip(radius):
    source = pairs_of(Frames(0, 10, tuple(range(10))), Frames(1, 2, (0, 1)), radius=radius)
    offsets = {}
    for pair in draw(source, 3000):
        (clip, index), (other_clip, other) = frames_of(pair)
        assert clip == other_clip and 1 <= abs(index - other) <= radius
        offsets.setdefault((clip, index), []).append(other - index)
    assert len(offsets) == 12 == len(source)  # every labelled frame is drawn
    for (clip, index), found in offsets.items():
        last = 9 if clip == 0 else 1
        possible = [other - index for other in range(last + 1) if 1 <= abs(other - index) <= radius]
        counts = [found.count(offset) for offset in possible]
        assert sum(counts) == len(found) and min(counts) > 0.3 * len(found) / len(possible)


def test_every_labelled_frame_is_as_likely():
    source = pairs_of(
        Frames(0, 5, (2,)), Frames(1, 5, (0, 4)), Frames(2, 5, ()), Frames(3, 5, (0, 1, 2, 3, 4))
    )
    seen = [frames_of(pair)[0] for pair in draw(source, 1600)]
    assert set(seen) == {(0, 2), (1, 0), (1, 4), *((3, index) for index in range(5))}
    assert all(120 < seen.count(frame) < 280 for frame in set(seen))


def test_labels_of_neighbours():
    clip = Frames(0, 3, (0, 1))
    for pair in draw(pairs_of(clip), 60):
        (_, index), (_, other) = frames_of(pair)
        assert (
            pair.label == index % 2
        ).all() and pair.origin == f"toy train clip0 frames {index} and {other}"
        assert (pair.neighbour_label is None) == (other == 2)
        if other != 2:
            assert (pair.neighbour_label == other % 2).all()


def test_labels_of_neighbours_may_be_left_out(stills):
    assert all(
        pair.neighbour_label is None
        for pair in draw(pairs_of(Frames(0, 3, (0, 1)), neighbour_labels=False), 30)
    )
    source = ClipPairs(open_clips(str(stills)), 8, neighbour_labels=False)
    assert all(pair.neighbour_label is None for pair in draw(source, 5))


def test_stills_get_a_neighbour(stills):
    pair = draw(ClipPairs(open_clips(str(stills)), 8, (3,)), 1)[0]
    assert pair.image.shape == pair.neighbour.shape == (64, 96, 3) and pair.neighbour_label.shape == (64, 96)
    assert not np.array_equal(pair.image, pair.neighbour) and pair.origin.startswith("stills (no splits) ")
    assert pair.origin.endswith("(still)")


def test_video_from_files(video):
    for pair in draw(ClipPairs(open_clips(str(video), "train"), 3), 10):
        assert pair.origin in [
            f"video train video frames {a} and {b}"
            for a, b in ((0, 1), (0, 2), (0, 3), (3, 0), (3, 1), (3, 2))
        ]
        assert (pair.neighbour_label is not None) == pair.origin.endswith(
            ("frames 0 and 3", "frames 3 and 0")
        )


def test_frames_of_different_sizes_are_named():
    clip = Frames(0, 2, (0,))
    clip.image = lambda index: np.zeros((6 + index, 8, 3), np.uint8)
    with pytest.raises(
        DataError,
        match="toy train clip0: frame 0 is 8x6 but frame 1 8x7; frames of a clip must have the same",
    ):
        draw(pairs_of(clip), 1)


def test_a_set_without_labels_is_an_error():
    with pytest.raises(DataError, match="toy train has no labelled frame: training needs some"):
        pairs_of(Frames(0, 5, ()))


def test_in_memory_the_pairs_are_the_same(stills, video):
    for root, split in ((stills, "train"), (video, "train")):
        clips = open_clips(root, split, "folder")
        files, memory = ClipPairs(clips, 2, [3]), ClipPairs(clips, 2, [3])
        memory.load_into_memory()
        wanted = draw(files, 20)
        for path in root.rglob("*.png"):
            path.unlink()
        for one, other in zip(wanted, draw(memory, 20)):
            assert one.origin == other.origin
            assert all(
                np.array_equal(getattr(one, name), getattr(other, name))
                for name in ("image", "label", "neighbour", "neighbour_label")
            )


def test_only_frames_that_pairs_can_have_are_read():
    asked = []

    class Counted(Frames):
        def image(self, index):
            asked.append(index)
            return super().image(index)

    source = pairs_of(Counted(0, 40, (10, 30)))
    source.load_into_memory()
    assert sorted(asked) == [8, 9, 10, 11, 12, 28, 29, 30, 31, 32]
    draw(source, 50)
    assert len(asked) == 10
    assert source.clips[0].image(20)[0, 0, 0] == 20 and asked[-1] == 20  # the others are read when asked for
    with pytest.raises(ValueError, match="read-only"):
        source.clips[0].image(10)[:] = 0  # all who ask share it
