"""Where pairs of frames come from."""

import cv2
import numpy as np
import pytest

from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.synthetic.video import RESERVED_SEEDS, SyntheticVideo
from dcfm_ros.training import pairs
from dcfm_ros.training.pairs import DataError, StillPairs, SyntheticPairs


@pytest.fixture
def rendered(monkeypatch):
    """Frames are recorded as (video, index) instead of being rendered; an image holds the frame's number in `rendered`."""
    frames = []

    class Recorded(SyntheticVideo):
        def frame(self, index):
            frames.append((self, index))
            return VideoFrame(index, 0, np.full((1, 1, 3), len(frames) - 1), np.zeros((1, 1), np.uint8), False)

    monkeypatch.setattr(pairs, "SyntheticVideo", Recorded)
    return frames


def draw(source, count, seed=0):
    rng = np.random.default_rng(seed)
    return [source.pair(rng) for _ in range(count)]


def frames_of(pair, rendered):
    return rendered[pair.image[0, 0, 0]], rendered[pair.neighbour[0, 0, 0]]


@pytest.mark.parametrize("radius", (1, 4, 8, 30))
def test_synthetic_pairs_stay_within_one_shot(rendered, radius):
    for pair in draw(SyntheticPairs(300, radius), 600):
        (video, one), (same_video, other) = frames_of(pair, rendered)
        assert video is same_video and 1 <= abs(one - other) <= radius
        first, last = sorted((one, other))
        assert not any(first < cut <= last for cut in video.cut_frames(last + 1))


def test_synthetic_pairs_look_both_ways_and_at_all_distances(rendered):
    steps = [a - b for (_, a), (_, b) in (frames_of(pair, rendered) for pair in draw(SyntheticPairs(50, 8), 500))]
    assert set(map(abs, steps)) == {1, 2, 3, 4, 6, 7, 8} and 0.4 < np.mean(np.sign(steps) > 0) < 0.6


def test_reserved_seeds_are_never_drawn(rendered):
    draw(SyntheticPairs(2500, 8), 2500)
    seeds = {video.seed for video, _ in rendered}
    assert len(seeds) > 700 and max(seeds) < RESERVED_SEEDS.start


def test_a_clip_is_rendered_once_and_the_same_everywhere(rendered):
    first, second = SyntheticPairs(3, 8), SyntheticPairs(3, 8)
    draw(first, 50)
    clips = {(video.seed, index) for video, index in rendered}
    assert len(rendered) == len(clips) == 3 * 5
    draw(second, 50, seed=1)
    assert {(video.seed, index) for video, index in rendered} == clips


def test_processes_draw_from_disjoint_clips(rendered):
    seen = []
    for rank in range(2):
        rendered.clear()
        draw(SyntheticPairs(40, 8, rank, world=2), 400)
        seen.append({(video.seed, index) for video, index in rendered})
    assert len(seen[0]) == len(seen[1]) == 20 * 5 and not seen[0] & seen[1]


def test_too_few_clips_for_the_processes():
    with pytest.raises(DataError, match="2 synthetic clips: give at least one for each of 3 processes"):
        SyntheticPairs(2, 8, 0, 3)


def test_a_real_clip():
    pair = SyntheticPairs(1, 8, width=96, height=64).pair(np.random.default_rng(0))
    for image, label in ((pair.image, pair.label), (pair.neighbour, pair.neighbour_label)):
        assert image.shape == (64, 96, 3) and image.dtype == np.uint8
        assert label.shape == (64, 96) and label.dtype == np.uint8 and label.max() < 11
    changed = np.mean(pair.label != pair.neighbour_label)
    assert 0 < changed < 0.5   # another moment of the same scene


def test_labels_of_stills_fit_both_images(stills, colors):
    source, seen = StillPairs(stills, movable=(3,)), []
    for pair in draw(source, 40):
        for image, label in ((pair.image, pair.label), (pair.neighbour, pair.neighbour_label)):
            assert image.shape == (64, 96, 3) and label.shape == (64, 96) and image.dtype == label.dtype == np.uint8
            assert set(np.unique(label)) <= {0, 1, 2, 3, 255}
            nearest = np.abs(image[:, :, None].astype(int) - colors).sum(3).argmin(2)
            assert np.mean((nearest == label)[label != 255]) > 0.95
        seen.append(np.mean(pair.label != pair.neighbour_label))
    assert 0 < np.mean(seen) < 0.3


def test_pairs_are_determined_by_the_generator_and_spare_the_stills(stills):
    used, fresh = StillPairs(stills, movable=(2, 3)), StillPairs(stills, movable=(2, 3))
    draw(used, 30, seed=1)   # pasted objects stay out of the kept stills
    for one, other in zip(draw(used, 5), draw(fresh, 5)):
        for name in ("image", "label", "neighbour", "neighbour_label"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_only_movable_classes_are_pasted(stills):
    tree = [np.mean([np.mean(pair.label == 2) for pair in draw(StillPairs(stills, movable), 60)]) for movable in ((), (2,))]
    assert tree[1] > 1.1 * tree[0]


def test_files_may_be_left_out(stills):
    assert len(StillPairs(stills, ()).files) == 3
    assert [image.name for image, _ in StillPairs(stills, (), exclude="a_").files] == ["b_2.png"]
    (stills / "images" / "b_2.png").unlink()
    with pytest.raises(DataError, match="no images"):
        StillPairs(stills, (), exclude="a_")


def test_missing_labels_are_named(stills):
    (stills / "labels" / "a_1.png").unlink()
    with pytest.raises(DataError, match=r"1 label files are missing, the first is .*labels/a_1\.png"):
        StillPairs(stills, ())


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no images in .*nowhere/images: expected \.jpg or \.png"):
        StillPairs(tmp_path / "nowhere", ())


def spoil(stills, folder, content):
    for path in (stills / folder).iterdir():
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            assert cv2.imwrite(str(path), content)


@pytest.mark.parametrize("folder, content, message", [
    ("images", b"", r"cannot read image .*images/.*\.png: damaged"),
    ("images", b"no picture", r"cannot read image .*\.png: damaged"),
    ("labels", b"no picture", r"cannot read label .*labels/.*\.png: expected a single-channel PNG"),
    ("labels", np.zeros((64, 96, 3), np.uint8), r"cannot read label .*: expected a single-channel PNG"),
    ("labels", np.zeros((48, 96), np.uint8), r"label .*\.png is \(96, 48\), its image \(96, 64\): sizes must agree"),
])
def test_unusable_files_are_named(stills, folder, content, message):
    spoil(stills, folder, content)
    with pytest.raises(DataError, match=message):
        StillPairs(stills, ()).pair(np.random.default_rng(0))
