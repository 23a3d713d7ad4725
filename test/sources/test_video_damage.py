# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files that are cut, damaged, or whose stamps tell nothing: what is whole is used, and the rest is
said."""

from fractions import Fraction

import numpy as np
import pytest
from video_helpers import FRAMES, HEIGHT, WIDTH, av, number_in, picture, write

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.open import open_source
from dcfm_ros.sources.video_file import VideoFile


def numbers(video):
    return [number_in(video.frame(index).image) for index in range(video.length)]


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def test_a_whole_file_says_nothing(tmp_path, capsys):
    open_source(str(write(tmp_path / "a.mp4", g=10, frames=30)))
    assert capsys.readouterr() == ("", "")


def test_a_cut_mp4_is_read_as_far_as_it_goes(tmp_path, capsys):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = open_source(str(cut(path, 0.9)))  # the index is most of it
    assert 10 < source.length < 30
    said = capsys.readouterr().err
    assert (
        said
        == f"{path} is damaged: {30 - source.length} of its 30 frames cannot be decoded and are left out\n"
    )
    assert numbers(source) == list(range(source.length))


@pytest.mark.parametrize(
    "name, codec", [("a.mkv", "libx264"), ("a.avi", "mjpeg"), ("a.mkv", "mjpeg"), ("a.ts", "libx264")]
)
def test_other_cut_files_are_read_as_far_as_they_go(tmp_path, name, codec):
    said = []
    options = {} if codec == "mjpeg" else {"g": 10, "bf": 2}
    video = VideoFile(cut(write(tmp_path / name, codec, frames=60, **options), 0.7), tell=said.append)
    assert 20 < video.length < 60
    assert numbers(video)[:-4] == list(range(video.length - 4))  # the last may be mended
    if name != "a.ts":  # which has no index that could be compared
        assert len(said) == 1 and (
            "is damaged" in said[0] or "says that it lasts 2.4 s, but its frames end at" in said[0]
        )


def test_frames_without_stamps_are_counted(tmp_path):
    video = VideoFile(write(tmp_path / "raw.h264", frames=40, g=10, bf=2))
    assert (video.length, video.rate_hz) == (40, 25.0)
    for index in (0, 39, 7, 8, 30, 29):
        frame = video.frame(index)
        assert number_in(frame.image) == index and frame.stamp_ns == index * 40_000_000


def test_b_frames_in_avi_are_in_order(tmp_path):
    assert numbers(VideoFile(write(tmp_path / "a.avi", "mpeg4", frames=30, bf=2))) == list(range(30))


def test_hidden_frames_are_no_frames(tmp_path):
    path = write(
        tmp_path / "a.webm", "libvpx", frames=60, **{"auto-alt-ref": 1, "lag-in-frames": 16, "b": "200k"}
    )
    said = []
    video = VideoFile(path, tell=said.append)
    assert numbers(video) == list(range(60)) and not said


def test_stamps_that_repeat_or_run_backwards_are_replaced(tmp_path):
    one, two = (write(tmp_path / name, frames=20, g=5).read_bytes() for name in ("one.ts", "two.ts"))
    (tmp_path / "both.ts").write_bytes(one + two)
    video = VideoFile(tmp_path / "both.ts")
    assert numbers(video) == [*range(20), *range(20)]
    assert [video.frame(index).stamp_ns for index in (0, 20, 39)] == [0, 800_000_000, 1_560_000_000]


def test_a_recording_that_begins_between_keyframes(tmp_path):
    data = write(tmp_path / "a.ts", frames=40, g=10).read_bytes()
    (tmp_path / "a.ts").write_bytes(data[len(data) * 2 // 5 // 188 * 188 :])
    said = []
    video = VideoFile(tmp_path / "a.ts", tell=said.append)
    first = 40 - video.length
    assert 0 < first < 30 and numbers(video) == list(range(first, 40)) and video.frame(0).stamp_ns == 0
    assert len(said) == 1 and "frames cannot be decoded and are left out" in said[0]


def test_the_size_may_change(tmp_path):
    for name, size in (("a.h264", (WIDTH, HEIGHT)), ("b.h264", (96, 80))):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for _ in range(3):
                container.mux(
                    stream.encode(
                        av.VideoFrame.from_ndarray(np.zeros((*size[::-1], 3), np.uint8), format="rgb24")
                    )
                )
            container.mux(stream.encode(None))
    (tmp_path / "both.h264").write_bytes(
        (tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes()
    )
    video = VideoFile(tmp_path / "both.h264")
    assert [video.frame(index).image.shape[:2] for index in range(video.length)] == [(HEIGHT, WIDTH)] * 3 + [
        (80, 96)
    ] * 3


def test_a_clocks_rate_is_not_taken_for_the_frames(tmp_path):
    video = VideoFile(
        write(tmp_path / "a.mkv", times=[40 * n for n in range(20)], rate=Fraction(1000), frames=20)
    )
    assert video.rate_hz == pytest.approx(25.0)
    assert numbers(video) == list(range(20))


def test_an_unknown_codec_is_said(tmp_path):
    path = write(tmp_path / "a.mp4", frames=3)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xyzw"))
    with pytest.raises(
        SourceError, match="a.mp4 uses a codec that PyAV cannot decode; convert it: ffmpeg -i INPUT"
    ):
        VideoFile(path)


def test_without_a_frame_that_can_be_decoded(tmp_path):
    path = write(tmp_path / "a.mp4", frames=3)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = start - 8 + int.from_bytes(data[start - 8 : start - 4], "big")
    data[start:end] = bytes(value ^ 0x5A for value in data[start:end])  # as if it were encrypted
    path.write_bytes(data)
    with pytest.raises(
        SourceError, match="a.mp4 has no frame that can be decoded; it is empty, damaged or encrypted"
    ):
        VideoFile(path)


@pytest.mark.parametrize("content", [b"", b"\0\0\0\x18ftypisom" + bytes(100)])
def test_empty_and_unfinished_files_are_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(
        SourceError, match="a.mp4 cannot be read as a video: .*; it is empty, cut off, or of a kind"
    ):
        VideoFile(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["12:30:45.mp4", "a%03d.mp4", "ünï cöde 漢 'q\".mp4"])
def test_any_name_will_do(tmp_path, name, monkeypatch):
    write(tmp_path / name, frames=3)
    monkeypatch.chdir(tmp_path)
    assert VideoFile(name).length == 3


def test_frames_lost_within_the_file_are_no_others(tmp_path):
    """A frame that cannot be decoded is not replaced by the next one."""
    video = VideoFile(write(tmp_path / "a.mp4", frames=FRAMES, g=10))
    decoded = list(video._decoded)
    video._decoded = iter([pair for pair in decoded if pair[0] != video._times[50]])
    for index in range(50):
        video.frame(index)
    with pytest.raises(
        SourceError, match="a.mp4 is damaged: frame 50 of 150 cannot be decoded; convert it: ffmpeg"
    ):
        video.frame(50)
