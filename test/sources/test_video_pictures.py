# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of videos as players show them: which way up, of which shape, in which colours; and which stream
they are of."""

from fractions import Fraction

import numpy as np
import pytest
from video_helpers import HEIGHT, WIDTH, av, number_in, picture, set_matrix, write

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.video_file import VideoFile

ONE = 1 << 16
TURNS = {  # where the axes go, and the same done to the array
    "upright": ((ONE, 0, 0, ONE), lambda a: a),
    "clockwise": ((0, ONE, -ONE, 0), lambda a: np.rot90(a, -1)),
    "upside down": ((-ONE, 0, 0, -ONE), lambda a: np.rot90(a, 2)),
    "anticlockwise": ((0, -ONE, ONE, 0), np.rot90),
    "mirrored": ((-ONE, 0, 0, ONE), np.fliplr),
    "mirrored upside down": ((ONE, 0, 0, -ONE), np.flipud),
    "axes exchanged": ((0, ONE, ONE, 0), lambda a: a.swapaxes(0, 1)),
    "axes exchanged, upside down": ((0, -ONE, -ONE, 0), lambda a: np.rot90(a, 2).swapaxes(0, 1)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_phone_videos_are_turned_upright(tmp_path, turn):
    path = write(tmp_path / "a.mp4", frames=2)
    stored = VideoFile(path).frame(1).image
    (a, b, c, d), expected = TURNS[turn]
    video = VideoFile(set_matrix(path, [a, b, 0, c, d, 0, 0, 0, 1 << 30]))
    assert np.array_equal(video.frame(1).image, expected(stored))
    assert (video.height, video.width) == expected(stored).shape[:2]


def one_colour(
    path,
    rgb=(40, 180, 100),
    size=(WIDTH, HEIGHT),
    space=5,
    colour_range=1,
    mark=True,
    aspect=None,
    curve=None,
):
    """A video of one colour; space: 1 BT.709, 5 BT.601, 9 BT.2020; colour_range: 1 limited, 2 full; unmarked
    without `mark`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if mark:
            stream.codec_context.colorspace, stream.codec_context.color_range = space, colour_range
        if curve:
            stream.codec_context.color_trc = curve
        frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), rgb, np.uint8), format="rgb24")
        frame = frame.reformat(format="yuv444p", dst_colorspace=space, dst_color_range=colour_range)
        if not mark:
            frame.colorspace, frame.color_range = 2, 0
        for number in range(2):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("space", [1, 5, 9])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_the_marked_matrix_and_range_are_used(tmp_path, space, colour_range):
    if space == 9 and int(av.__version__.split(".")[0]) < 18:
        pytest.skip("PyAV 17 writes BT.2020 with another matrix")
    video = VideoFile(one_colour(tmp_path / "a.mp4", space=space, colour_range=colour_range))
    assert np.abs(video.frame(0).image[5, 5].astype(int) - (40, 180, 100)).max() <= 5


@pytest.mark.parametrize("size, space", [((WIDTH, HEIGHT), 5), ((1280, 720), 1)])
def test_without_a_mark_the_size_decides_on_the_matrix(tmp_path, size, space):
    video = VideoFile(one_colour(tmp_path / "a.mp4", size=size, space=space, mark=False))
    assert np.abs(video.frame(0).image[5, 5].astype(int) - (40, 180, 100)).max() <= 5


def test_high_dynamic_range_is_said(tmp_path):
    said = []
    VideoFile(one_colour(tmp_path / "a.mp4", space=9, curve=16), tell=said.append)
    assert (
        len(said) == 1 and "a.mp4 is HDR video (PQ), whose colours are used without tone mapping" in said[0]
    )


@pytest.mark.parametrize(
    "aspect, size", [((2, 1), (128, 48)), ((1, 2), (64, 96)), ((64, 45), (91, 48)), ((240, 239), (64, 48))]
)
def test_pixels_are_made_square(tmp_path, aspect, size):
    video = VideoFile(one_colour(tmp_path / "a.mp4", aspect=Fraction(*aspect)))
    assert (video.width, video.height) == size and video.frame(1).image.shape == (size[1], size[0], 3)


def two_streams(path, cover):
    with av.open(str(path), "w", format="mp4" if path.suffix == ".m4v" else None) as container:
        streams = [
            container.add_stream(codec, rate=25)
            for codec in (("mjpeg", "libx264") if cover else ("libx264", "libx264"))
        ]
        for stream in streams:
            stream.width, stream.height = WIDTH, HEIGHT
            stream.pix_fmt = "yuvj420p" if stream is streams[0] and cover else "yuv420p"
        if cover:
            streams[0].disposition = av.stream.Disposition.attached_pic
        for number in range(5):
            for stream in streams:
                if number == 0 or not (cover and stream is streams[0]):
                    frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
                    frame.pts = number
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.m4v"])
def test_a_cover_picture_is_not_the_video(tmp_path, name):
    said = []
    video = VideoFile(two_streams(tmp_path / name, cover=True), tell=said.append)
    assert video.length == 5 and number_in(video.frame(4).image) == 4 and not said


def test_of_several_videos_one_is_used_and_said(tmp_path):
    said = []
    assert VideoFile(two_streams(tmp_path / "a.mkv", cover=False), tell=said.append).length == 5
    assert len(said) == 1 and "a.mkv has 2 video streams; only number 0, of 64x48, is used" in said[0]


def test_a_song_with_a_cover_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="a.mp4 has only a cover picture; give a file with moving pictures"):
        VideoFile(tmp_path / "a.mp4")
