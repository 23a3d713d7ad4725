# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files .mcap of every form that writers make: all messages in order of time, or a note on what is
missing."""

import json
import random
import struct
import tracemalloc

import pytest
from bags_helpers import CAMERA, START_NS, STRING, contents, cut_file, texts, write_bag, write_mcap
from mcap.writer import CompressionType, IndexType

from dcfm_ros.bags import compression
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.mcap_file import McapFile
from dcfm_ros.bags.outputs import original_topics
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.topics import choose_cameras

FORMS = {
    "as written by default": {},
    "no message index": {"index_types": IndexType.CHUNK},
    "message index of the first chunks only": {"index_until": 20},
    "no index at all": {"index_types": IndexType.NONE},
    "no chunks": {"use_chunking": False},
    "no chunks, no statistics": {"use_chunking": False, "use_statistics": False},
    "no statistics": {"use_statistics": False},
    "no summary": {
        "use_statistics": False,
        "index_types": IndexType.NONE,
        "repeat_channels": False,
        "repeat_schemas": False,
        "use_summary_offsets": False,
    },
    "channels not repeated": {"repeat_channels": False, "repeat_schemas": False},
    "lz4": {"compression": CompressionType.LZ4},
    "lz4 without index": {"compression": CompressionType.LZ4, "index_types": IndexType.NONE},
    "not compressed": {"compression": CompressionType.NONE},
    "no checksums": {"enable_crcs": False},
    "one chunk": {"chunk_size": 10**6},
    "empty profile": {"profile": ""},
}
MESSAGES = sorted(texts(40) + texts(40, "/other", START_NS + 5), key=lambda message: message[1])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_all_messages(tmp_path, form):
    with open_bag(write_mcap(tmp_path / "drive.mcap", MESSAGES, **FORMS[form])) as bag:
        assert contents(bag) == MESSAGES
        assert {topic.name: topic.count for topic in bag.topics} == {"/notes": 40, "/other": 40}
        assert (bag.start_ns, bag.end_ns) == (START_NS, MESSAGES[-1][1] + 1)
        one = [topic for topic in bag.topics if topic.name == "/other"]
        assert [log_ns for _, log_ns, _ in bag.messages(one)] == [
            log_ns for name, log_ns, _ in MESSAGES if name == "/other"
        ]
        assert not bag.notes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("disorder", ["in each chunk", "over the whole file", "second half first"])
def test_order_is_that_of_log_times(tmp_path, form, disorder):
    written = list(MESSAGES)
    if disorder == "in each chunk":
        written = [message for first in range(0, 80, 8) for message in reversed(MESSAGES[first : first + 8])]
    elif disorder == "over the whole file":
        random.Random(0).shuffle(written)
    else:
        written = MESSAGES[40:] + MESSAGES[:40]
    with open_bag(write_mcap(tmp_path / "drive.mcap", written, **FORMS[form])) as bag:
        assert contents(bag) == MESSAGES and not bag.notes


@pytest.mark.parametrize("form", FORMS)
def test_equal_times_keep_the_order_of_the_file(tmp_path, form):
    same = texts(60, step_ns=0)
    with open_bag(write_mcap(tmp_path / "drive.mcap", same, **FORMS[form])) as bag:
        assert contents(bag) == same


FOREIGN = {  # serialization, schema
    "protobuf": ("protobuf", ("foxglove.SceneUpdate", "protobuf", b"\x0a\x00")),
    "json": ("json", ("foxglove.SceneUpdate", "jsonschema", json.dumps({"type": "object"}).encode())),
    "ros1": ("ros1", ("std_msgs/Float64", "ros1msg", b"float64 x\n")),
    "flatbuffer": ("flatbuffer", ("foxglove.Grid", "flatbuffer", b"\x10\0\0\0")),
    "no schema": ("json", None),
    "unknown schema": ("cdr", ("my_msgs/msg/Thing", "unknown", b"")),
    "broken idl": ("cdr", ("my_msgs/msg/Thing", "ros2idl", b"module my_msgs { struct")),
    "empty definition": ("cdr", ("my_msgs/msg/Thing", "ros2msg", b"")),
    "bad definition": ("cdr", ("my_msgs/msg/Thing", "ros2msg", b"unknown_msgs/Foo x\n")),
    "no text": ("cdr", ("my_msgs/msg/Thing", "ros2msg", b"\xff\xfe\x00")),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_channel_that_is_not_of_ros2_leaves_the_others_alone(tmp_path, kind):
    encoding, schema = FOREIGN[kind]

    def extra(writer):
        number = 0 if schema is None else writer.register_schema(*schema)
        writer.add_message(
            writer.register_channel("/foreign", encoding, number), START_NS, b"\1\2\3", START_NS
        )

    camera = [(CAMERA, log_ns, raw) for _, log_ns, raw in texts(5)]
    with open_bag(
        write_mcap(tmp_path / "drive.mcap", camera, extra=extra, msgtype="sensor_msgs/msg/Image")
    ) as bag:
        assert [camera.topic.name for camera in choose_cameras(bag)] == [CAMERA]
        assert [message[1:] for message in contents(bag) if message[0] == CAMERA] == [
            message[1:] for message in camera
        ]
        copied, left_out = original_topics(bag, [])
        assert [topic.name for topic in copied] == [CAMERA] and left_out["/foreign"]


def test_a_channel_that_does_not_name_its_serialization_is_taken_for_ros2s(tmp_path):
    def extra(writer):
        schema = writer.register_schema("my_msgs/msg/Thing", "ros2msg", b"float64 x\n")
        writer.add_message(writer.register_channel("/things", "", schema), START_NS, bytes(12), START_NS)

    with open_bag(write_mcap(tmp_path / "drive.mcap", texts(2), extra=extra)) as bag:
        assert {topic.name for topic in original_topics(bag, [])[0]} == {"/notes", "/things"}


@pytest.mark.parametrize(
    "encoding, name, text",
    [
        (
            "protobuf",
            "foxglove.CompressedImage",
            "/cam is of type foxglove.CompressedImage serialized as protobuf",
        ),
        ("ros1", "sensor_msgs/Image", "/cam is of type sensor_msgs/Image serialized as ros1"),
        ("cdr", "theora_image_transport/msg/Packet", "/cam is of type theora_image_transport/msg/Packet"),
    ],
)
def test_pictures_of_other_kinds_are_named(tmp_path, encoding, name, text):
    def extra(writer):
        writer.add_message(
            writer.register_channel("/cam", encoding, writer.register_schema(name, "", b"")),
            START_NS,
            b"",
            START_NS,
        )

    with open_bag(write_mcap(tmp_path / "drive.mcap", [], extra=extra)) as bag:
        with pytest.raises(
            BagError,
            match=f"holds no camera images: {text}; only sensor_msgs/msg/Image, .* and .* are read: convert",
        ):
            choose_cameras(bag)
        with pytest.raises(BagError, match=f"topic /cam of .* is {text[8:]}, not an image of ROS 2"):
            choose_cameras(bag, ["/cam"])


def test_a_type_named_without_msg_and_a_topic_of_two_channels(tmp_path):
    def extra(writer):
        schema = writer.register_schema("std_msgs/String", "ros2msg", b"string data\n")
        channel = writer.register_channel("/notes", "cdr", schema, metadata={"offered_qos_profiles": "- {}"})
        writer.add_message(channel, START_NS - 1, MESSAGES[0][2], 0)

    with open_bag(write_mcap(tmp_path / "drive.mcap", texts(3), extra=extra)) as bag:
        assert [(topic.msgtype, topic.count) for topic in bag.topics] == [(STRING, 4)]
        assert [log_ns for _, log_ns, _ in bag.messages()] == [
            START_NS - 1,
            *(log_ns for _, log_ns, _ in texts(3)),
        ]


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["", "storage", "message"])
@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_of_a_cut_file_the_whole_part_is_read(tmp_path, compression, metadata, share):
    path = write_bag(tmp_path / "bag", 400, compression=compression, extra=("/notes",))
    with open_bag(path) as bag:
        everything = contents(bag)
    cut_file(path / "bag.mcap", share)
    if not metadata:
        (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        rescued = contents(bag)
        # Where it was cut, a message is written after another that is recorded later.
        assert rescued[:-2] == everything[: len(rescued) - 2] and set(rescued) <= set(everything)
        assert len(rescued) == sum(topic.count for topic in bag.topics)
        assert len(rescued) > (share - 0.35) * len(everything), "a chunk is lost at most"
        note = f"bag.mcap is truncated, or still being written: {len(rescued)} messages in its intact part"
        if not metadata:
            assert bag.notes == ["metadata.yaml is missing: the files of the folder are used", note]
        elif len(rescued) < 800:
            assert bag.notes[0] == note and bag.notes[1].startswith(
                f"metadata.yaml counts 400 messages on {CAMERA}, its files hold "
            )
        assert (bag.start_ns, bag.end_ns) == (rescued[0][1], rescued[-1][1] + 1)
        assert all("uint8[] data" in topic.definition for topic in bag.topics if topic.name == CAMERA)


def damaged_chunk(file):
    """A file of several chunks, one of which was hit."""
    offsets = [chunk.offset for chunk in McapFile(file, file)._index.chunks]
    data = bytearray(file.read_bytes())
    at = offsets[len(offsets) // 3] + 80
    data[at : at + 30] = bytes(30)
    return data


@pytest.mark.parametrize("form", ["lz4", "not compressed", "as written by default"])
def test_a_damaged_file_without_end_is_read_up_to_the_damage(tmp_path, form):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES, **FORMS[form])
    file.write_bytes(damaged_chunk(file)[:-60])
    with open_bag(file) as bag:
        found = contents(bag)
        assert 0 < len(found) < 60 and found == MESSAGES[: len(found)]
        assert bag.notes == [
            f"drive.mcap is truncated, or still being written: {len(found)} messages in its intact part"
        ]


def test_a_file_whose_end_is_there_and_whose_index_is_not(tmp_path):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES)
    data = bytearray(file.read_bytes())
    summary = struct.unpack_from("<Q", data, len(data) - 28)[0]
    data[summary : summary + 40] = b"\xff" * 40
    file.write_bytes(data)
    with open_bag(file) as bag:
        assert contents(bag) == MESSAGES and bag.notes == [
            "drive.mcap has a damaged index and was scanned from its start"
        ]


@pytest.mark.parametrize("second", ["the same layout", "another layout"])
def test_files_that_were_joined(tmp_path, second):
    first = write_mcap(tmp_path / "drive.mcap", MESSAGES, compression=CompressionType.NONE)
    later = texts(40 if second == "the same layout" else 7, first_ns=START_NS + 10**12)
    other = write_mcap(
        tmp_path / "other.mcap",
        later + texts(40, "/other", START_NS + 10**12),
        compression=CompressionType.NONE,
    ).read_bytes()
    with first.open("ab") as file:
        file.write(other)
    with open_bag(first) as bag:
        assert contents(bag) == MESSAGES
        assert bag.notes == [
            f"drive.mcap is followed by {len(other)} bytes of another .mcap, which are not read: give that "
            f"as a file of its own"
        ]


@pytest.mark.parametrize("rest", [bytes(1000), b"a line\n", b"\n"])
def test_what_follows_the_end_is_no_damage(tmp_path, rest):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES)
    file.write_bytes(file.read_bytes() + rest)
    with open_bag(file) as bag:
        assert contents(bag) == MESSAGES and bag.notes in (
            [],
            ["drive.mcap has a damaged index and was scanned from its start"],
        )


def test_messages_of_a_channel_that_is_not_described(tmp_path):
    def extra(writer):
        writer.add_message(7, START_NS, b"\0\1\0\0", START_NS)

    with open_bag(write_mcap(tmp_path / "drive.mcap", MESSAGES, extra=extra)) as bag:
        assert contents(bag) == MESSAGES
        assert bag.notes == ["drive.mcap contains 1 messages of undescribed channels"]


@pytest.mark.parametrize("form", FORMS)
def test_a_channel_of_two_topics(tmp_path, form):
    """As tools make that join files."""
    one, other = texts(20), texts(20, "/other", START_NS + 10**12)
    file = write_mcap(
        tmp_path / "drive.mcap",
        one + other,
        **{**FORMS[form], "compression": CompressionType.NONE, "enable_crcs": False},
    )
    data = file.read_bytes()
    assert struct.pack("<HH", 2, 1) + struct.pack("<I", 6) + b"/other" in data
    data = data.replace(
        struct.pack("<HH", 2, 1) + struct.pack("<I", 6) + b"/other",
        struct.pack("<HH", 1, 1) + struct.pack("<I", 6) + b"/other",
    )
    file.write_bytes(data)
    try:
        with open_bag(file) as bag:
            contents(bag)
            assert bag.notes
    except BagError as error:
        assert str(file) in str(error)


def test_the_memory_stays_small_where_another_channel_has_old_times_in_each_chunk(tmp_path):
    """As a node without a clock has. A chunk is put off then, and not kept."""
    big = bytes(40_000)
    messages = [
        message
        for number in range(40)
        for message in (("/old", number, b"\0\1\0\0old"), ("/new", START_NS + number, big))
    ]
    with open_bag(write_mcap(tmp_path / "drive.mcap", messages, chunk_size=50_000)) as bag:
        new = [topic for topic in bag.topics if topic.name == "/new"]
        tracemalloc.start()
        try:
            found = [(log_ns, len(raw)) for _, log_ns, raw in bag.messages(new)]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert found == [(START_NS + number, len(big)) for number in range(40)] and peak < 15 * len(big)


def test_the_duration_is_that_of_the_messages(tmp_path):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES)
    data, times = file.read_bytes(), struct.pack("<QQ", START_NS, MESSAGES[-1][1])
    at = data.rindex(times)  # in the statistics
    file.write_bytes(data[:at] + struct.pack("<QQ", 0, 2**62) + data[at + 16 :])
    with open_bag(file) as bag:
        assert (bag.start_ns, bag.end_ns) == (START_NS, MESSAGES[-1][1] + 1) and contents(bag) == MESSAGES


def test_times_of_the_index_that_do_not_hold_are_noted(tmp_path):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES)
    data = bytearray(file.read_bytes())
    _, second, *_ = (chunk.start_ns for chunk in McapFile(file, file)._index.chunks)
    at = data.rindex(struct.pack("<Q", second))  # in the index; the chunk itself has it, too
    data[at : at + 8] = struct.pack("<Q", START_NS + 10**10)
    file.write_bytes(data)
    with open_bag(file) as bag:
        assert sorted(contents(bag)) == sorted(MESSAGES)
        assert bag.notes[0].endswith(
            "are out of order, as the times in the file index are wrong: `mcap recover` mends that"
        )


def test_a_damaged_chunk_of_an_indexed_file(tmp_path):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES)
    file.write_bytes(damaged_chunk(file))
    with (
        open_bag(file) as bag,
        pytest.raises(BagError, match=f"{file} is damaged: .*; repair it with `mcap recover`"),
    ):
        contents(bag)


def test_what_is_there_is_compared_with_what_the_file_says(tmp_path):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES)
    data, statistics = file.read_bytes(), struct.pack("<QHI", 80, 1, 2)  # messages, schemas, channels
    assert data.count(statistics) == 1
    file.write_bytes(data.replace(statistics, struct.pack("<QHI", 90, 1, 2)))
    with open_bag(file) as bag:
        assert contents(bag) == MESSAGES
        assert bag.notes == ["drive.mcap declares 90 messages, but contains 80"]


def test_chunks_of_an_unknown_compression(tmp_path):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES)
    data = file.read_bytes()
    file.write_bytes(data.replace(b"\4\0\0\0zstd", b"\4\0\0\0bzip"))
    with (
        open_bag(file) as bag,
        pytest.raises(
            BagError,
            match=f"{file}: chunks are compressed with 'bzip', but only zstd and lz4 can be read: rewrite it "
            "with `mcap compress`",
        ),
    ):
        contents(bag)


def test_a_chunk_that_would_fill_the_memory(tmp_path, monkeypatch):
    file = write_mcap(tmp_path / "drive.mcap", MESSAGES, chunk_size=3000)
    monkeypatch.setattr(compression, "MAX_BYTES", 1000)
    with (
        open_bag(file) as bag,
        pytest.raises(BagError, match=f"{file}: a chunk of 3[0-9]* bytes, but the limit is 1000: rewrite "),
    ):
        contents(bag)
    file.write_bytes(file.read_bytes()[:-40])
    with open_bag(file) as bag:
        assert not contents(bag) and "0 messages in its intact part" in bag.notes[0]
