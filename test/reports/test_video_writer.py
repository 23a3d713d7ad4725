# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos that a browser plays, read back."""

import os
from pathlib import Path

import numpy as np
import pytest

from dcfm_ros.reports import video_writer
from dcfm_ros.reports.video_writer import VideoWriter

av = pytest.importorskip("av")


def picture(number, width, height):
    """A smooth picture with a coloured block that moves; coding changes it little."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 200 // width, y * 200 // height, np.full_like(x, 80)], -1).astype(np.uint8)
    image[8:24, 4 * number : 4 * number + 16] = (230, 30, 30)
    return image


def write(path, width, height, frames=12, rate_hz=15.0):
    images = [picture(number, width, height) for number in range(frames)]
    with VideoWriter(path, width, height, rate_hz) as writer:
        for image in images:
            writer.add(image)
    return images


def read(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "new folder" / "a.mp4"
    images = write(path, 96, 64)
    back = read(path)
    assert len(back) == len(images)
    for ours, theirs in zip(images, back):
        assert theirs.shape == ours.shape
        assert np.abs(ours.astype(int) - theirs).mean() < 4
        # Inside areas of one colour only the colour conversion is left; a wrong colour standard is off by 10
        # and more.
        assert np.abs(ours[40:].astype(int) - theirs[40:]).mean(axis=(0, 1)).max() < 3


@pytest.mark.parametrize(
    "name", [b"a: b", b"file:x", b"pipe:1", b"out #1", b"%02d", b"dr\xe4ve", "ü 🚗".encode()], ids=ascii
)
def test_folders_may_be_called_anything(tmp_path, monkeypatch, name):
    """Relative ones, too, which FFmpeg by itself would take for a protocol or a sequence of files."""
    monkeypatch.chdir(tmp_path)
    path = Path(os.fsdecode(name)) / "a.mp4"
    write(path, 96, 64)
    assert [file.name for file in path.parent.iterdir()] == ["a.mp4"] and path.stat().st_size > 1000


def test_the_file_suits_browsers(tmp_path):
    write(tmp_path / "a.mp4", 96, 64, rate_hz=15.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert (stream.frames, stream.average_rate) == (12, 15)
        assert stream.codec_context.colorspace == 1  # BT.709, so that players need not guess
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # faststart


def test_ntsc_rates_are_kept_exactly(tmp_path):
    write(tmp_path / "a.mp4", 64, 64, rate_hz=30000 / 1001)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate * 1001 == 30000


def test_odd_sizes_are_padded_with_their_edge(tmp_path):
    images = write(tmp_path / "a.mp4", 95, 63)
    back = read(tmp_path / "a.mp4")
    assert back[0].shape == (64, 96, 3)
    assert np.abs(back[3][:63, :95].astype(int) - images[3]).mean() < 4
    assert np.abs(back[3][40:63, 95].astype(int) - images[3][40:, 94]).mean() < 6


def test_frames_with_gaps_in_memory_are_taken(tmp_path):
    image = picture(2, 96, 64)
    with VideoWriter(tmp_path / "a.mp4", 96, 64, 15.0) as writer:
        writer.add(image[..., ::-1].copy()[..., ::-1])
    assert np.abs(read(tmp_path / "a.mp4")[0].astype(int) - image).mean() < 4


def test_vp9_takes_over_where_there_is_no_h264(tmp_path, monkeypatch):
    if "libvpx-vp9" not in av.codecs_available:
        pytest.skip("this PyAV has no libvpx-vp9")
    monkeypatch.setattr(av, "codecs_available", {"libvpx-vp9"})
    images = write(tmp_path / "a.mp4", 96, 64, frames=4)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert "vp9" in container.streams.video[0].codec_context.name
    assert np.abs(read(tmp_path / "a.mp4")[3].astype(int) - images[3]).mean() < 5
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.raises(RuntimeError, match="none of the encoders libx264, libvpx-vp9; pip install av"):
        VideoWriter(tmp_path / "b.mp4", 96, 64, 15.0)
    assert not (tmp_path / "b.mp4").exists()


def test_no_frame_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="a.mp4 was not written: no frame was added"):
        with VideoWriter(tmp_path / "a.mp4", 96, 64, 15.0):
            pass
    assert not (tmp_path / "a.mp4").exists()


def test_an_error_inside_keeps_what_was_written(tmp_path):
    with pytest.raises(KeyError), VideoWriter(tmp_path / "a.mp4", 96, 64, 15.0) as writer:
        writer.add(picture(0, 96, 64))
        raise KeyError("something else went wrong")
    assert len(read(tmp_path / "a.mp4")) == 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"path": "a.avi"}, "cannot write .*a.avi; give a path ending in .mp4"),
        ({"width": 0}, "video size is 0x64; give at least 1x1 pixel"),
        ({"rate_hz": 0.0}, "rate_hz is 0.0; give a number of frames per second"),
        ({"rate_hz": float("inf")}, "rate_hz is inf"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, change, message):
    arguments = {"path": "a.mp4", "width": 96, "height": 64, "rate_hz": 15.0} | change
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=message):
        VideoWriter(**arguments)


def test_bad_frames_are_refused(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 96, 64, 15.0) as writer:
        writer.add(picture(0, 96, 64))
        with pytest.raises(ValueError, match=r"frame has shape \(96, 64, 3\).*give \(64, 96, 3\) uint8 RGB"):
            writer.add(picture(0, 64, 96))
        with pytest.raises(ValueError, match="type float64"):
            writer.add(np.zeros((64, 96, 3)))
    with pytest.raises(RuntimeError, match="a.mp4 is closed"):
        writer.add(picture(0, 96, 64))


def test_without_pyav_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, "av", None)
    with pytest.raises(RuntimeError, match="a.mp4 needs PyAV; pip install av"):
        VideoWriter(tmp_path / "a.mp4", 96, 64, 15.0)
