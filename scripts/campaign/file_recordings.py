# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of files: recordings, as `dcfm bag segment` and its kin read them."""

from __future__ import annotations

import io
import sqlite3
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import bags_helpers
from mcap.reader import make_reader
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter

from campaign.file_changes import yaml_text, yaml_tree
from campaign.file_kind import Kind
from campaign.mutations import mutated, mutated_head, odd_value
from dcfm_ros.bags.arrivals import Arrival, image_reader
from dcfm_ros.bags.finding import find_bags
from dcfm_ros.bags.labels import Labels, open_labels
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.stamps import stamp_ns

_SIZE = (8, 12)


def _make(folder: Path, storage: str, encoding: str, compression: str = "", **options: object) -> None:
    pictures = bags_helpers.drive(4, size=_SIZE)
    bags_helpers.write_bag(
        folder / "drive",
        4,
        storage=storage,
        encoding=encoding,
        compression=compression,
        pictures=pictures,
        **options,
    )
    for file in (folder / "drive").iterdir():
        if file.suffix != ".yaml":
            file.rename(file.with_name(f"drive{''.join(file.suffixes)}".replace("drive_0", "drive")))
    metadata = folder / "drive" / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("drive_0", "drive"))


def read_recording(folder: Path, out: Path) -> None:
    """Read all images of all cameras, and labels where there are some."""
    for path in find_bags([folder]):
        with open_bag(path) as bag:
            labels = ["/labels"] if any(topic.name == "/labels" for topic in bag.topics) else []
            cameras = choose_cameras(bag, labels=labels)
            found = open_labels(bag, cameras[:1], labels) if labels else {}
            for camera in cameras:
                reader = image_reader(bag, camera.topic)
                for number, (_, log_ns, raw) in enumerate(bag.messages([camera.topic])):
                    for arrival in reader.read(number, log_ns, raw):
                        _use(arrival, found.get(camera.name))
                for arrival in reader.flush():
                    _use(arrival, None)
            bag.summary()


def _use(arrival: Arrival, labels: Labels | None) -> None:
    """Decode an image, and take its label; what cannot be used is counted, and the others are used."""
    with suppress(InputError):
        picture = arrival.decode()
        if labels is not None:
            labels.take(stamp_ns(arrival.header.stamp), picture.pixels.shape[:2])


def mcap_records(data: bytes, random: Random) -> bytes:
    """Write an mcap anew with other times, channels, schemas and messages; checksums fit."""
    buffer = io.BytesIO()
    writer = McapWriter(
        buffer,
        chunk_size=random.choice((100, 4000)),
        compression=random.choice((CompressionType.NONE, CompressionType.ZSTD, CompressionType.LZ4)),
    )
    writer.start(random.choice(("ros2", "", "ros1")))
    channels: dict[int, int] = {}
    for schema, channel, message in make_reader(io.BytesIO(data)).iter_messages():
        assert schema is not None
        if channel.id not in channels or random.random() < 0.1:
            name, text, encoding = schema.name, schema.data, schema.encoding
            topic, serialization, about = channel.topic, channel.message_encoding, dict(channel.metadata)
            change = random.randrange(8)
            if change == 0:
                name = random.choice(("", "sensor_msgs/Image", "sensor_msgs/msg/CompressedImage", "x" * 300))
            elif change == 1:
                text = mutated(text, random)
            elif change == 2:
                topic = random.choice(("", "/", "//", "/camera/image_raw", "/labels", "é" * 100, "/a b"))
            elif change == 3:
                serialization = random.choice(("", "CDR", "json", "protobuf"))
            elif change == 4:
                about = {
                    random.choice(("offered_qos_profiles", "topic_type_hash")): str(odd_value(random))[:5000]
                    .encode("utf-8", "replace")
                    .decode()
                }
            elif change == 5:
                encoding = random.choice(("", "ros2idl", "ros1msg"))
            number = writer.register_schema(name, encoding, text) if random.random() < 0.95 else 0
            channels[channel.id] = writer.register_channel(topic, serialization, number, about)
        content = mutated(message.data, random) if random.random() < 0.4 else message.data
        if random.random() < 0.05:
            content = b""
        time = message.log_time
        if random.random() < 0.2:
            time = random.choice((0, 1, 2**63 - 1, 2**63, 2**64 - 1, time + 10**15))
        writer.add_message(channels[channel.id], time, content, message.publish_time)
    writer.finish()
    return buffer.getvalue()


def sqlite_rows(data: bytes, random: Random) -> bytes:
    """Change rows and tables of a database of ROS."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db3"
        path.write_bytes(data)
        database = sqlite3.connect(path, isolation_level=None)
        for _ in range(random.choice((1, 2, 3))):
            table = random.choice(("topics", "messages", "messages"))
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            column = random.choice(columns)
            change = random.randrange(5)
            try:
                if change <= 2:
                    value = odd_value(random)
                    if isinstance(value, (list, dict)):
                        value = str(value)[:5000]
                    if isinstance(value, str):
                        value = value.encode("utf-8", "replace").decode()
                    where = "" if random.random() < 0.5 else f" WHERE rowid = {random.randint(1, 4)}"
                    if column == "data" and random.random() < 0.6:
                        (old,) = database.execute("SELECT data FROM messages LIMIT 1").fetchone()
                        value = mutated(bytes(old), random)
                    database.execute(f"UPDATE {table} SET {column} = ?{where}", (value,))
                elif change == 3:
                    database.execute(f"DELETE FROM {table} WHERE rowid = {random.randint(1, 4)}")
                else:
                    database.execute(
                        random.choice(
                            (
                                f"DROP TABLE {table}",
                                f"ALTER TABLE {table} RENAME COLUMN {column} TO x",
                                f"DROP TABLE {table}; CREATE VIEW {table} AS SELECT 1",
                                "CREATE TABLE message_definitions (topic_type, encoded_message_definition)",
                                f"INSERT INTO {table} SELECT * FROM {table}",
                                "DROP TABLE messages",
                                "CREATE TRIGGER t AFTER INSERT ON messages BEGIN SELECT 1; END",
                            )
                        ).partition(";")[0]
                    )
                    if random.random() < 0.2:  # a view that never ends
                        database.execute("DROP TABLE IF EXISTS messages")
                        database.execute(
                            "CREATE VIEW messages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                            "FROM n) SELECT i AS id, 1 AS topic_id, i AS timestamp, x'00' AS data FROM n"
                        )
            except (sqlite3.Error, OverflowError, TypeError):
                pass
        database.close()
        return path.read_bytes()


def _small(name: str, file: str, make: object, *more: object, weight: float = 1.0) -> Kind:
    return Kind(
        name,
        make,  # type: ignore[arg-type]
        {file: (mutated, mutated_head, *more)},  # type: ignore[dict-item]
        read_recording,
        weight,
        leaves=frozenset({"drive.db3-shm", "drive.db3-wal"}),
    )


KINDS = (
    _small(
        "mcap",
        "drive/drive.mcap",
        partial(_make, storage="mcap", encoding="rgb8", labels="/labels"),
        mcap_records,
        mcap_records,
        weight=3,
    ),
    _small("mcap of JPEG", "drive/drive.mcap", partial(_make, storage="mcap", encoding="jpeg"), mcap_records),
    _small(
        "mcap by zstd",
        "drive/drive.mcap",
        partial(_make, storage="mcap", encoding="png", compression="storage"),
    ),
    _small(
        "mcap.zstd",
        "drive/drive.mcap.zstd",
        partial(_make, storage="mcap", encoding="rgb8", compression="file"),
        weight=0.5,
    ),
    _small(
        "sqlite3",
        "drive/drive.db3",
        partial(_make, storage="sqlite3", encoding="rgb8"),
        sqlite_rows,
        sqlite_rows,
        weight=3,
    ),
    Kind(
        "metadata.yaml",
        partial(_make, storage="mcap", encoding="rgb8"),
        {"drive/metadata.yaml": (mutated, yaml_tree, yaml_text, yaml_text)},
        read_recording,
        weight=2,
    ),
)
