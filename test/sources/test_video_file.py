# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files, read in any order."""

import numpy as np
import pytest
from video_helpers import FRAMES, HEIGHT, WIDTH, av, number_in, write

from dcfm_ros.sources import video_file
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.video_file import VideoFile


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """H.264 with B-frames and one keyframe in 40: the hard case for seeking."""
    return write(tmp_path_factory.mktemp("video") / "movie.mp4", g=40, bf=3, preset="fast")


def test_reading_in_order(movie):
    video = VideoFile(movie)
    assert (video.width, video.height, video.rate_hz, video.length) == (WIDTH, HEIGHT, 25.0, FRAMES)
    assert video.class_table is None
    for index in range(FRAMES):
        frame = video.frame(index)
        assert number_in(frame.image) == index
        assert (frame.index, frame.stamp_ns, frame.label, frame.is_cut) == (
            index,
            index * 40_000_000,
            None,
            False,
        )


def test_reading_in_order_decodes_each_frame_once(movie, monkeypatch):
    video = VideoFile(movie)
    monkeypatch.setattr(
        video, "_rewind", lambda index: pytest.fail(f"seek to {index} while reading in order")
    )
    for index in range(FRAMES):
        video.frame(index)


def test_any_order_gives_the_same_frames(movie):
    video = VideoFile(movie)
    for index in [149, 0, 148, 38, 39, 40, 41, 39, 79, 80, 5, 5, 100, *range(60, 50, -1)]:
        assert number_in(video.frame(index).image) == index


def test_colours_are_rgb(movie):
    red, green, blue = VideoFile(movie).frame(3).image[2, 30]
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize(
    "name, codec",
    [
        ("a.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.webm", "libvpx-vp9"),
        ("a.mov", "mjpeg"),
        ("a.ts", "libx264"),
    ],
)
def test_other_formats(tmp_path, name, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    extra = {"deadline": "realtime", "cpu-used": 8} if codec == "libvpx-vp9" else {}
    video = VideoFile(write(tmp_path / name, codec, frames=100, g=25, **extra))
    assert video.length == 100
    for index in (0, 99, 7, 8, 60, 25, 24):
        assert number_in(video.frame(index).image) == index
        # some formats count milliseconds
        assert abs(video.frame(index).stamp_ns - index * 40_000_000) <= 500_000


def test_a_given_rate_replaces_the_files_own(movie):
    video = VideoFile(movie, rate_hz=10.0)
    assert video.rate_hz == 10.0
    assert video.frame(3).stamp_ns == 300_000_000


def test_varying_rate_keeps_its_stamps(tmp_path):
    video = VideoFile(write(tmp_path / "a.mp4", times=[0, 1, 2, 10, 11, 12], frames=6))
    assert video.length == 6
    assert [video.frame(i).stamp_ns // 40_000_000 for i in range(6)] == [0, 1, 2, 10, 11, 12]
    assert [number_in(video.frame(i).image) for i in range(6)] == list(range(6))


def test_frames_that_cannot_be_decoded_are_named(movie, monkeypatch):
    video = VideoFile(movie)
    video._decoded = iter(())  # as if the rest of the file were damaged
    with pytest.raises(
        SourceError, match="movie.mp4 is damaged: frame 9 of 150 cannot be decoded; convert it: ffmpeg"
    ):
        video.frame(9)


def test_bad_files_are_refused(tmp_path, movie):
    (tmp_path / "a.mp4").write_bytes(b"this is no video")
    with pytest.raises(
        SourceError,
        match="a.mp4 cannot be read as a video: Invalid data .*; it is empty, cut off, or of a kind",
    ):
        VideoFile(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(SourceError, match="sound.wav has no video stream"):
        VideoFile(tmp_path / "sound.wav")
    for index in (-1, FRAMES):
        with pytest.raises(SourceError, match=f"no frame {index}; the video has {FRAMES}"):
            VideoFile(movie).frame(index)


def test_without_pyav_the_remedy_is_named(movie, monkeypatch):
    monkeypatch.setattr(video_file, "av", None)
    with pytest.raises(SourceError, match="movie.mp4 needs PyAV.*pip install av"):
        VideoFile(movie)
