# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One door to all sources."""

import cv2
import numpy as np
import pytest

from dcfm_ros.sources.classes import STREET11
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.open import in_classes, open_source
from dcfm_ros.sources.synthetic.video import RESERVED_SEEDS, SyntheticVideo


@pytest.fixture
def folder(tmp_path):
    """Three labelled frames of 64x48: the left half is class 1 and white, the right class 2 and black."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = 255
    label = np.where(image[..., 0] > 0, 1, 2).astype(np.uint8)
    label[0] = 255
    for number in range(3):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
        cv2.imwrite(str(tmp_path / "labels" / f"{number}.png"), label)
    return tmp_path


def test_synthetic_has_sensible_defaults():
    source = open_source("synthetic")
    assert (source.width, source.height, source.rate_hz, source.length) == (480, 360, 15.0, None)
    assert source.class_table == STREET11


@pytest.mark.slow
def test_synthetic_is_the_video_of_its_seed():
    for name, seed in (("synthetic:7", 7), ("synthetic", 1000)):
        ours = open_source(name, rate_hz=10.0, width=96, height=64).frame(5)
        theirs = SyntheticVideo(seed, 96, 64, 10.0).frame(5)
        assert np.array_equal(ours.image, theirs.image) and np.array_equal(ours.label, theirs.label)
        assert ours.stamp_ns == theirs.stamp_ns == 500_000_000
    assert 1000 in RESERVED_SEEDS  # what people see by default was never trained on


def test_folder_is_found_with_its_labels(folder):
    source = open_source(str(folder))
    assert (source.width, source.height, source.rate_hz, source.length) == (64, 48, 15.0, 3)
    assert source.class_table is None
    assert source.frame(2).label[5, 0] == 1
    assert open_source(str(folder / "images")).frame(0).label is None
    assert open_source(str(folder / "images"), labels=str(folder / "labels")).frame(0).label[5, 63] == 2


def test_video_files_are_found(tmp_path):
    av = pytest.importorskip("av")
    path = str(tmp_path / "a.mp4")
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = open_source(path, width=32)
    assert (source.width, source.height, source.rate_hz, source.length) == (32, 24, 12.0, 5)
    assert abs(int(source.frame(3).image[12, 16, 1]) - 120) < 10
    assert open_source(path, rate_hz=30.0).rate_hz == 30.0


@pytest.mark.parametrize(
    "asked, size",
    [((32, 24), (32, 24)), ((128, None), (128, 96)), ((None, 24), (32, 24)), ((100, 30), (100, 30))],
)
def test_frames_and_labels_are_resized_together(folder, asked, size):
    source = open_source(str(folder), width=asked[0], height=asked[1])
    assert (source.width, source.height) == size
    frame = source.frame(1)
    assert frame.image.shape == (size[1], size[0], 3) and frame.label.shape == (size[1], size[0])
    assert set(np.unique(frame.label)) <= {1, 2, 255}  # no mixed ids
    assert np.array_equal(frame.label[-1] == 1, frame.image[-1, :, 0] > 127)


def test_labels_are_taken_from_the_middle_of_each_new_pixel(folder):
    columns = np.tile(np.array([0, 1, 2], np.uint8), (48, 20))
    for kind in ("images", "labels"):
        cv2.imwrite(str(folder / kind / "0.png"), columns)
    assert (open_source(str(folder), width=20, height=16).frame(0).label == 1).all()


@pytest.mark.slow
def test_a_reel_shows_some_seconds_of_each_seed():
    reel = open_source("synthetic:5-7", width=64, height=48, rate_hz=2.0)
    assert reel.length == 30  # three seeds, 5 s each
    for index, seed, within in ((0, 5, 0), (9, 5, 9), (10, 6, 0), (29, 7, 9)):
        frame, original = reel.frame(index), SyntheticVideo(seed, 64, 48, 2.0).frame(within)
        assert np.array_equal(frame.image, original.image) and np.array_equal(frame.label, original.label)
        assert (frame.index, frame.stamp_ns) == (index, index * 500_000_000)
        assert frame.is_cut == (original.is_cut or index in (10, 20))
    assert open_source("synthetic:5-7", length=4).length == 4


def test_synthetic_keeps_its_aspect_ratio_too():
    source = open_source("synthetic:3", width=240)
    assert (source.width, source.height) == (240, 180)


def test_frames_of_other_sizes_are_left_alone_unless_asked(folder):
    cv2.imwrite(str(folder / "images" / "3.png"), np.zeros((10, 20, 3), np.uint8))
    assert open_source(str(folder)).frame(3).image.shape == (10, 20, 3)
    assert open_source(str(folder), width=64, height=48).frame(3).image.shape == (48, 64, 3)


def test_length_shortens_but_never_lengthens(folder):
    assert open_source(str(folder), length=2).length == 2
    assert open_source(str(folder), length=9).length == 3
    assert open_source("synthetic", length=9).length == 9
    with pytest.raises(SourceError, match="no frame 2; the source is 2 frames long"):
        open_source(str(folder), length=2).frame(2)
    with pytest.raises(SourceError, match="no frame -1; the source is endless"):
        open_source("synthetic").frame(-1)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"name": "no_such_file.mp4"},
            "there is no no_such_file.mp4; give synthetic.*, a folder of images, or",
        ),
        ({"name": "synthetic:x"}, "synthetic:x has no valid seed"),
        ({"name": "synthetic:9-5"}, "seeds 9-5: the last is smaller than the first"),
        ({"name": "synthetic:1-2-3"}, "synthetic:1-2-3 has no valid seed"),
        ({"name": "synthetic:-1"}, "synthetic:-1 has no valid seed; give a whole number of 0 or more"),
        (
            {"name": "synthetic", "labels": "labels"},
            "labels labels cannot be used with synthetic; only a folder of images",
        ),
        ({"name": "synthetic", "rate_hz": 0.0}, "rate_hz is 0.0; give a number"),
        ({"name": "synthetic", "rate_hz": float("nan")}, "rate_hz is nan"),
        ({"name": "synthetic", "width": 0}, "width is 0; give a whole number above 0"),
        ({"name": "synthetic", "height": -3}, "height is -3"),
        ({"name": "synthetic", "length": 0}, "length is 0"),
        (
            {"name": "synthetic", "width": 8, "height": 8},
            "synthetic video: size is 8x8; give at least 32x32 pixels",
        ),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(SourceError, match=message):
        open_source(**options)


@pytest.mark.parametrize("name", ["drive.mcap", "drive.db3", "drive/drive_0.mcap"])
def test_a_recording_is_sent_to_the_commands_that_take_it(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    path = path.parent if path.parent.name == "drive" else path
    with pytest.raises(
        SourceError, match=f"{path} is a recording: `dcfm bag evaluate` and `dcfm bag segment` take it"
    ):
        open_source(str(path))


def test_labels_are_matched_to_a_models_classes_by_name(folder):
    (folder / "classes.yaml").write_text(
        "classes:\n"
        "- {name: car, color: [0, 0, 1]}\n- {name: sky, color: [0, 0, 2]}\n- {name: road, color: [0, 0, 3]}\n"
    )
    source = open_source(str(folder))
    assert in_classes(source, ("car", "sky", "road")) is source
    matched = in_classes(source, ("road", "pole", "sky", "car"))
    assert matched.frame(0).label[:, [0, 63]].tolist()[::47] == [[255, 255], [2, 0]]
    assert (matched.width, matched.height, matched.rate_hz, matched.length) == (64, 48, 15.0, 3)
    assert in_classes(source, ("road", "sky")) is None
    (folder / "classes.yaml").unlink()
    source = open_source(str(folder))
    assert in_classes(source, ("anything",)) is source  # nothing says what its ids mean
