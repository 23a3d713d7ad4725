# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video packets become the pictures that were encoded, each with its own stamp; what is lost costs no more
than it must."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from video_helpers import av, picture
from video_packet_helpers import (
    FRAMES,
    GOP,
    PERIOD_NS,
    STREAMS,
    WITH_B,
    WITHOUT_B,
    Encoded,
    encoded,
    shown,
    stamp,
    told,
)

from dcfm_ros.pipeline.video_bits import parse_packet
from dcfm_ros.pipeline.video_packets import (
    Packet,
    VideoDecoder,
    codec_of,
    from_compressed_video,
    from_ffmpeg_packet,
)

ALL = list(range(FRAMES))


def decoded(packets, **options):
    """Decode packets of one topic with a new decoder; return the outcomes and the decoder."""
    decoder, outcomes = VideoDecoder(), []
    for packet in packets:
        outcomes += decoder.decode(packet if isinstance(packet, Packet) else packet.packet(**options))
    return outcomes + decoder.flush(), decoder


@pytest.mark.parametrize("name", STREAMS)
def test_every_picture_comes_in_order_with_its_own_stamp(name):
    outcomes, decoder = decoded(encoded(name))
    assert told(outcomes) == ALL
    assert [outcome.packet.stamp_ns for outcome in outcomes] == [number * PERIOD_NS for number in ALL]
    assert decoder.counts == {"pictures": FRAMES, "ended": 1}
    assert np.abs(outcomes[7].rgb().astype(int) - picture(7)).mean() < 12


@pytest.mark.parametrize("name", WITHOUT_B)
def test_without_b_frames_a_picture_comes_with_its_packet(name):
    decoder = VideoDecoder()
    assert [told(decoder.decode(one.packet())) for one in encoded(name)] == [[number] for number in ALL]


@pytest.mark.parametrize("name", [*WITH_B, "h265 open"])
def test_with_b_frames_the_delay_is_bounded(name):
    decoder, came = VideoDecoder(), 0
    for fed, one in enumerate(encoded(name), 1):
        came += len(decoder.decode(one.packet()))
        assert fed - came <= 4


@pytest.mark.parametrize("name", [*WITHOUT_B, *WITH_B])
def test_who_joins_in_the_middle_waits_for_a_key_picture(name):
    outcomes, decoder = decoded(encoded(name)[3:])
    assert told(outcomes) == ["key"] * (GOP - 3) + ALL[GOP:]
    assert "since the stream was joined between two of them: let the encoder" in str(outcomes[0].error)
    assert decoder.counts["pictures"] == FRAMES - GOP


def test_pictures_that_are_shown_before_the_key_picture_and_build_on_others_do_not_come():
    """An open group of pictures: those that lead a CRA."""
    stream = encoded("h265 open")
    start = next(at for at, one in enumerate(stream) if at and parse_packet("h265", one.data).is_key)
    assert not parse_packet("h265", stream[start].data).is_clean
    leading = [one.number for one in stream[start:] if one.number < stream[start].number]
    outcomes, _ = decoded(stream[start:])
    assert leading and [one for one in told(outcomes) if one != "picture"] == ALL[stream[start].number :]
    assert sorted(outcome.packet.context for outcome in outcomes if outcome.error) == sorted(leading)


@pytest.mark.parametrize("name", ["h264", "h264 b", "h264 matrices", "h264 444", "h265", "av1"])
def test_the_codec_tells_of_a_loss(name):
    """No picture is wrong, and at the next key picture all is well."""
    stream = encoded(name)
    lost = 5 if name in WITH_B else 4  # one on which others build
    outcomes, decoder = decoded(stream[:lost] + stream[lost + 1 :])
    found = told(outcomes)
    assert found[-(FRAMES - GOP) :] == ALL[GOP:]
    assert set(found[lost : -(FRAMES - GOP)]) <= {"key", "packet"} and len(found) == FRAMES - 1
    assert decoder.counts["lost"] + decoder.counts["damaged"] == 1


def test_a_loss_that_others_do_not_build_on_costs_one_picture():
    stream = encoded("h265 b")
    lost = next(
        at for at, one in enumerate(stream) if at and one.number < stream[at - 1].number and one.number % 2
    )
    outcomes, _ = decoded(stream[:lost] + stream[lost + 1 :])
    assert told(outcomes) == [number for number in ALL if number != stream[lost].number]


@pytest.mark.parametrize("name", WITHOUT_B)
def test_pts_that_count_tell_of_a_loss(name):
    packets = [one.packet(pts=100 + one.number) for one in encoded(name)]
    outcomes, decoder = decoded(packets[:4] + packets[6:])
    assert told(outcomes) == [0, 1, 2, 3] + ["key"] * 4 + ALL[GOP:]
    assert "since packets were lost (pts 106 follows 103)" in str(outcomes[4].error)
    assert decoder.counts == {"pictures": FRAMES - 6, "lost": 1, "ended": 1}


def test_pts_that_are_times_tell_of_none():
    packets = [one.packet(pts=33 * one.number + one.number % 2) for one in encoded("vp9")]
    assert told(decoded(packets)[0]) == ALL


def test_a_lost_key_picture_is_waited_for_too():
    stream = encoded("h264")
    outcomes, _ = decoded([one.packet(pts=one.number) for one in stream[:GOP] + stream[GOP + 1 :]])
    assert told(outcomes) == ALL[:GOP] + ["key"] * (GOP - 1) + ALL[2 * GOP :]


def test_the_caller_may_know_of_a_loss():
    decoder, stream = VideoDecoder(), encoded("vp9")
    outcomes = decoder.decode(stream[0].packet()) + decoder.lose() + decoder.lose()
    for one in stream[2:]:
        outcomes += decoder.decode(one.packet())
    assert told(outcomes) == [0] + ["key"] * (GOP - 2) + ALL[GOP:]
    assert decoder.counts["lost"] == 1


@pytest.mark.parametrize("name", [*WITHOUT_B, *WITH_B])
def test_stamps_that_jump_back_are_a_seek(name):
    """Case of a looped recording that starts between two key pictures."""
    stream = encoded(name)
    outcomes, decoder = decoded(stream[:25] + stream[4:])
    found = told(outcomes)
    assert found[:25] == sorted(one.number for one in stream[:25])
    assert found[25:] == ["key"] * (GOP - 4) + ALL[GOP:]
    assert decoder.counts["jumped"] == 1 and "since the stamps jumped back" in str(outcomes[25].error)


@pytest.mark.parametrize("name", WITH_B)
def test_a_seek_to_a_key_picture_loses_none(name):
    stream = encoded(name)
    assert told(decoded(stream[:25] + stream)[0]) == sorted(one.number for one in stream[:25]) + ALL


def test_stamps_that_stand_still_are_no_seek():
    assert told(decoded(encoded("h264"), number=0)[0]) == ALL


def spoilt(data, how):
    return {
        "cut": data[: len(data) // 2],
        "zeros": data[:20] + bytes(len(data) - 20),
        "start alone": data[:5],
        "noise": np.random.default_rng(len(data)).bytes(len(data)),
    }[how]


@pytest.mark.parametrize("how", ["cut", "zeros", "start alone", "noise"])
@pytest.mark.parametrize("name", [*WITHOUT_B, *WITH_B])
def test_damage_is_told_and_ends_with_the_next_key_picture(name, how):
    stream = encoded(name)
    for at in (0, 4, GOP):  # a key picture, another, a later key picture
        bad = stream[at]._replace(data=spoilt(stream[at].data, how))
        outcomes, _ = decoded([*stream[:at], bad, *stream[at + 1 :]])
        assert len(outcomes) == FRAMES
        after = (at // GOP + 1) * GOP
        assert [
            outcome.packet.context
            for outcome in outcomes
            if outcome.error is None and outcome.packet.context >= after
        ] == ALL[after:]


def test_a_cut_packet_of_h264_is_damaged():
    """FFmpeg makes a picture of what there is."""
    stream = encoded("h264")
    outcomes, decoder = decoded(
        [*stream[:GOP], stream[GOP]._replace(data=stream[GOP].data[:-60]), *stream[GOP + 1 :]]
    )
    assert told(outcomes) == ALL[:GOP] + ["packet"] + ["key"] * (GOP - 1) + ALL[2 * GOP :]
    assert "cannot be decoded (the decoder had to conceal a part of it): it is damaged" in str(
        outcomes[GOP].error
    )
    assert decoder.counts["damaged"] == 1


@pytest.mark.parametrize(
    "format, data, kind, words",
    [
        (
            "mjpeg",
            b"x",
            "encoding",
            "video of format 'mjpeg' is not read: publish h264, h265, av1, vp9, or images",
        ),
        ("", b"x", "encoding", "video of format '' is not read"),
        ("hevc_nvenc;gray12le;mono16;16UC1", b"x", "encoding", "holds 16uc1 and no colours"),
        ("libx264;gray;mono8;bayer_rggb8", b"x", "encoding", "holds bayer_rggb8 and no colours"),
        ("h264", b"", "picture", "has no data: its publisher could not encode"),
        (
            "h264",
            b"\0\0\0\x20\x65\x88\x84",
            "encoding",
            "begins with 00 00 00 20, which is not a start code of H.264: publish the Annex B form",
        ),
        ("av1", b"\xff\xff", "packet", "is not a sequence of AV1 OBUs"),
        ("av1", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff", "packet", "is not a sequence of AV1 OBUs"),
        ("vp9", b"\0", "packet", "does not begin like a VP9 frame"),
        ("h265", b"\0\0\1", "picture", "contains no picture, only parameters"),
    ],
)
def test_what_is_no_such_packet_is_said(format, data, kind, words):
    (outcome,) = VideoDecoder().decode(Packet(format, data, 0))
    assert outcome.error.kind == kind and words in str(outcome.error) and "\n" not in str(outcome.error)


def without_sets(one: Encoded) -> Encoded:
    """A packet without its parameter sets, and these alone."""
    contents = parse_packet(one.format, one.data)
    data = one.data
    for part in contents.sets.values():
        data = data.replace(part, b"").replace(part[1:], b"")
    return one._replace(data=data), one._replace(data=b"".join(contents.sets.values()))


@pytest.mark.parametrize("name", ["h264", "h265", "h264 b", "av1"])
def test_without_parameter_sets_there_are_no_pictures(name):
    outcomes, _ = decoded([without_sets(one)[0] for one in encoded(name)])
    assert set(told(outcomes)) == {"parameters", "key"} and len(outcomes) == FRAMES
    assert "let the encoder repeat the parameter sets with each of them" in str(outcomes[0].error)


@pytest.mark.parametrize("name", ["h264", "h265", "av1"])
def test_parameter_sets_may_come_once_and_by_themselves(name):
    """They are given to the decoder again where it begins anew after a loss."""
    stream = [without_sets(one)[0] for one in encoded(name)]
    decoder = VideoDecoder()
    outcomes = decoder.decode(without_sets(encoded(name)[0])[1].packet())
    for one in stream[:4]:
        outcomes += decoder.decode(one.packet())
    decoder.lose()
    for one in stream[5:]:
        outcomes += decoder.decode(one.packet())
    assert told(outcomes) == ["picture", 0, 1, 2, 3] + ["key"] * 5 + ALL[GOP:]


@pytest.mark.parametrize("name", [*WITHOUT_B, *WITH_B])
def test_the_size_may_change(name):
    larger = [one._replace(number=one.number + GOP) for one in encoded(name, GOP, (96, 128))]
    outcomes, _ = decoded([*encoded(name, GOP), *larger])
    assert [outcome.rgb().shape for outcome in outcomes] == [(48, 64, 3)] * GOP + [(96, 128, 3)] * GOP
    assert [outcome.packet.context for outcome in outcomes] == list(range(2 * GOP))


def test_the_codec_may_change():
    packets = [
        one.packet(2 * GOP * turn + one.number)
        for turn, name in enumerate(("h264 b", "vp9", "h265 b"))
        for one in encoded(name, 2 * GOP)
    ]
    outcomes, decoder = decoded(packets)
    assert told(outcomes) == [*range(2 * GOP)] * 3 and decoder.counts["jumped"] == 2


def exp_golomb(value: int) -> str:
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def test_a_forged_size_asks_for_no_memory():
    """An SPS of 16384x16384 pixels."""
    bits = "".join(
        (
            f"{66:08b}",
            "0" * 8,
            f"{62:08b}",
            *map(exp_golomb, (0, 0, 2, 1)),
            "0",
            *map(exp_golomb, (1023, 1023)),
            "11001",
        )
    )
    forged = b"\0\0\0\1\x67" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(
        -(-len(bits) // 8), "big"
    )
    key = encoded("h264")[0]
    data = key.data.replace(parse_packet("h264", key.data).sets["SPS"], forged)
    assert data != key.data
    (outcome,) = VideoDecoder().decode(Packet("h264", data, 0))
    assert outcome.error.kind == "packet"


@pytest.mark.parametrize(
    "text, codec",
    [
        ("h264", "h264"),
        ("libx264", "h264"),
        ("libx264rgb;rgb24;rgb8", "h264"),
        ("h264_nvenc;nv12;bgr8;bgr8", "h264"),
        ("H264", "h264"),
        ("libopenh264", "h264"),
        ("h265", "h265"),
        ("hevc", "h265"),
        ("hevc_nvenc", "h265"),
        ("libx265;yuv420p;bgr8;8UC3", "h265"),
        ("libkvazaar", "h265"),
        ("av1", "av1"),
        ("libsvtav1", "av1"),
        ("librav1e", "av1"),
        ("libaom-av1", "av1"),
        ("av1_nvenc", "av1"),
        ("vp9", "vp9"),
        ("libvpx-vp9", "vp9"),
    ],
)
def test_names_of_encoders(text, codec):
    assert codec_of(text) == codec


def test_messages_are_read_by_their_fields():
    header = SimpleNamespace(stamp=stamp(1_500_000_001), frame_id="eye")
    message = SimpleNamespace(
        header=header,
        width=64,
        height=48,
        encoding="libx264",
        pts=7,
        flags=1,
        is_bigendian=False,
        data=memoryview(b"ab"),
    )
    assert from_ffmpeg_packet(message, "mine")[:4] == ("libx264", b"ab", 1_500_000_001, 7)
    video = SimpleNamespace(timestamp=stamp(2), frame_id="eye", data=memoryview(b"cd"), format="h265")
    assert from_compressed_video(video)[:4] == ("h265", b"cd", 2, None)


@pytest.mark.parametrize(
    "matrix, marked, read, right",
    [
        (5, False, from_ffmpeg_packet, True),  # as ffmpeg_image_transport makes them at any size
        (1, False, from_compressed_video, True),  # as players take unmarked videos of this size
        (5, False, from_compressed_video, False),
        (1, True, from_ffmpeg_packet, True),
    ],
)
def test_colours_are_those_of_the_matrix(matrix, marked, read, right):
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 1056, 32, "yuv444p"
    context.options = {"qp": "0", "preset": "ultrafast", "tune": "zerolatency"}
    if marked:
        context.colorspace = matrix
    green = np.full((32, 1056, 3), (30, 200, 60), np.uint8)
    frame = av.VideoFrame.from_ndarray(green, format="rgb24").reformat(
        format="yuv444p", dst_colorspace=matrix
    )
    frame.pts, frame.colorspace = 0, matrix if marked else 2
    data = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    fields = {
        "header": SimpleNamespace(stamp=stamp(0)),
        "timestamp": stamp(0),
        "encoding": "libx264",
        "format": "h264",
        "pts": 0,
        "data": data,
    }
    (outcome,) = VideoDecoder().decode(read(SimpleNamespace(**fields)))
    assert (np.abs(outcome.rgb().astype(int) - green).max() <= 4) == right


def test_a_frame_is_no_copy_of_an_earlier_one():
    """Decoders use their memory again."""
    decoder = VideoDecoder()
    outcomes = [outcome for one in encoded("h264") for outcome in decoder.decode(one.packet())]
    assert [shown(outcome) for outcome in outcomes] == ALL


def test_encoding_for_the_tests_makes_no_thread_a_real_time_one():
    encoded("av1", frames=3)
    policies = {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}
    assert not policies & {os.SCHED_FIFO, os.SCHED_RR}
