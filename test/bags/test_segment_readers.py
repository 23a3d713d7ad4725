# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segmented recordings as others read them: the mcap library, SQLite, and what `ros2 bag info` looks at."""

import sqlite3

import pytest
import yaml
from bags_helpers import START_NS, read_bag, write_bag
from helpers import write_tiny_model
from mcap.reader import make_reader
from mcap.records import Chunk
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader
from segmenting_helpers import CAMERAS, content, segment

from dcfm_ros.bags.types import typestore

pytestmark = pytest.mark.slow

FRAMES = 14
# Schema 4 of rosbag2_storage_sqlite3, as `ros2 bag record` of Jazzy writes it.
SQLITE_COLUMNS = {
    "schema": ["schema_version", "ros_distro"],
    "metadata": ["id", "metadata_version", "metadata"],
    "topics": ["id", "name", "type", "serialization_format", "offered_qos_profiles", "type_description_hash"],
    "message_definitions": [
        "id",
        "topic_type",
        "encoding",
        "encoded_message_definition",
        "type_description_hash",
    ],
    "messages": ["id", "topic_id", "timestamp", "data"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By storage, an output of several parts with all topics."""
    folder = tmp_path_factory.mktemp("made")
    model = write_tiny_model(folder / "tiny")
    bag = write_bag(folder / "drive", FRAMES, CAMERAS, extra=("/chatter",), motion=0.5)
    for storage in ("mcap", "sqlite3"):
        segment(bag, folder / storage, model, storage=storage, all_topics=True, part_images=11)
    return {storage: folder / storage for storage in ("mcap", "sqlite3")}


@pytest.fixture(params=["mcap", "sqlite3"])
def out(request, made):
    return made[request.param]


def information(out):
    return yaml.safe_load((out / "metadata.yaml").read_text())["rosbag2_bagfile_information"]


def test_metadata_tell_what_is_there(out):
    """What `ros2 bag info` shows, against the messages themselves."""
    info = information(out)
    messages = read_bag(out)
    logs = [log_ns for one in messages.values() for log_ns, _ in one]
    assert (info["version"], info["storage_identifier"], info["compression_mode"]) == (9, out.name, "")
    assert info["message_count"] == len(logs)
    assert info["starting_time"]["nanoseconds_since_epoch"] == min(logs)
    assert info["duration"]["nanoseconds"] == max(logs) - min(logs)
    assert {
        topic["topic_metadata"]["name"]: topic["message_count"] for topic in info["topics_with_message_count"]
    } == {name: len(one) for name, one in messages.items()}
    assert info["relative_file_paths"] == [file["path"] for file in info["files"]] and len(info["files"]) == 3
    assert {*info["relative_file_paths"], "metadata.yaml"} == {path.name for path in out.iterdir()}
    for file in info["files"]:
        mine = [log_ns for one in read_bag(out / file["path"]).values() for log_ns, _ in one]
        assert (file["message_count"], file["starting_time"]["nanoseconds_since_epoch"]) == (
            len(mine),
            min(mine),
        )
        assert file["duration"]["nanoseconds"] == max(mine) - min(mine)


def test_metadata_tell_types_and_qos(out):
    for topic in (one["topic_metadata"] for one in information(out)["topics_with_message_count"]):
        assert topic["serialization_format"] == "cdr"
        assert topic["type_description_hash"] == typestore().hash_rihs01(topic["type"])
        if topic["name"].startswith("/dcfm/"):
            (qos,) = topic["offered_qos_profiles"]
            latched = topic["name"].endswith(("/palette", "/label_info"))
            assert (qos["reliability"], qos["durability"]) == (
                "reliable",
                "transient_local" if latched else "volatile",
            )
            assert (qos["history"], qos["depth"]) == ("keep_last", 1 if latched else 5)


def test_definitions_are_embedded(out):
    """A reader without any types decodes all of it, our own messages included."""
    with AnyReader([out]) as reader:
        palettes = [
            reader.deserialize(raw, connection.msgtype)
            for connection, _, raw in reader.messages()
            if connection.topic == "/dcfm/rear/palette"
        ]
        kinds = {
            connection.topic: type(reader.deserialize(raw, connection.msgtype)).__name__
            for connection, _, raw in reader.messages()
        }
    assert [one.name for one in palettes[0].classes] == ["sky", "road", "tree", "car"]
    assert kinds["/dcfm/front/mask_info"] == "dcfm_ros__msg__MaskInfo" and len(kinds) == 13


def test_the_mcap_library_reads_every_file(made):
    expected = content(made["mcap"])
    found = {name: [] for name in expected}
    for name in information(made["mcap"])["relative_file_paths"]:
        with (made["mcap"] / name).open("rb") as file:
            reader = make_reader(file, validate_crcs=True)
            assert reader.get_header().profile == "ros2"
            summary, messages = reader.get_summary(), [*reader.iter_messages()]
            assert {chunk.compression for chunk in summary.chunk_indexes} == {"zstd"}
            assert summary.statistics.message_count == len(messages)
            assert summary.statistics.message_start_time == min(message.log_time for *_, message in messages)
            assert summary.statistics.message_end_time == max(message.log_time for *_, message in messages)
            assert summary.statistics.channel_count == len(summary.channels) == len(expected)
            for number, channel in summary.channels.items():
                mine = [message for *_, message in messages if message.channel_id == number]
                assert summary.statistics.channel_message_counts[number] == len(mine)
                assert channel.message_encoding == "cdr"
                assert (
                    "transient_local" in channel.metadata["offered_qos_profiles"]
                ) == channel.topic.endswith(("/palette", "/label_info"))
            for schema, channel, message in messages:
                assert schema.encoding == "ros2msg" and schema.id == channel.schema_id
                assert message.log_time == message.publish_time
                found[channel.topic].append(message.log_time)
                if schema.name.startswith("dcfm_ros/"):
                    definition, _ = typestore().generate_msgdef(schema.name, ros_version=2)
                    assert schema.data.decode() == definition and definition.count("MSG: ") >= 2
    assert found == {name: [log_ns for log_ns, _ in messages] for name, messages in expected.items()}


def test_masks_are_compressed_in_chunks(made):
    """Masks are many times smaller than their pixels, and a player need not unpack a whole file."""
    name = information(made["mcap"])["relative_file_paths"][0]
    with (made["mcap"] / name).open("rb") as file:
        chunks = [
            record for record in StreamReader(file, emit_chunks=True).records if isinstance(record, Chunk)
        ]
    assert chunks and all(chunk.compression == "zstd" for chunk in chunks)
    assert sum(len(chunk.data) for chunk in chunks) < 0.8 * sum(chunk.uncompressed_size for chunk in chunks)


def test_sqlite_has_the_tables_of_rosbag2(made):
    total = 0
    for name in information(made["sqlite3"])["relative_file_paths"]:
        assert name.endswith(".db3")
        with sqlite3.connect(f"file:{made['sqlite3'] / name}?mode=ro", uri=True) as database:
            tables = {
                table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            assert tables == SQLITE_COLUMNS
            assert database.execute("SELECT schema_version FROM schema").fetchall() == [(4,)]
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            total += database.execute("SELECT count(*) FROM messages").fetchone()[0]
            topics = dict(database.execute("SELECT name, type FROM topics"))
            types = dict(
                database.execute("SELECT topic_type, encoded_message_definition FROM message_definitions")
            )
            qos = dict(database.execute("SELECT name, offered_qos_profiles FROM topics"))
            (first,) = database.execute("SELECT min(timestamp) FROM messages").fetchone()
            assert first >= START_NS
        assert topics["/dcfm/front/mask"] == "sensor_msgs/msg/Image" and {*topics.values()} == {*types}
        assert all(types.values()) and "transient_local" in qos["/dcfm/front/palette"]
        assert not [*made["sqlite3"].glob("*-journal")]
    assert total == information(made["sqlite3"])["message_count"]
