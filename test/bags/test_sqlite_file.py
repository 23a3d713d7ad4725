# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files .db3 of every version, name and state that recorders leave."""

import shutil
import sqlite3

import pytest
from bags_helpers import START_NS, contents, texts, write_bag

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.make import make_bag
from dcfm_ros.bags.options import MakeOptions
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.topics import choose_cameras

NAMES = [
    "run#3",
    "what?",
    "100%41",
    "ä b",
    "50%",
    "a?mode=memory",
    "q'uo\"te",
    "line\nbreak",
    "back\\slash",
    "file:x",
]


@pytest.fixture
def drive(tmp_path):
    return write_bag(tmp_path / "drive", 4, storage="sqlite3", extra=("/notes",))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_names_with_signs_that_mean_something_in_uris(drive, tmp_path, name):
    with open_bag(drive) as bag:
        expected = contents(bag)
    other = shutil.copytree(drive, tmp_path / name)
    shutil.copy(other / "drive.db3", tmp_path / f"{name}.db3")
    for path in (other, tmp_path / f"{name}.db3"):
        with open_bag(path) as bag:
            assert contents(bag) == expected and not bag.notes


def test_a_database_that_is_called_as_the_name_begins_is_not_read(drive, tmp_path):
    fewer = write_bag(tmp_path / "fewer", 1, storage="sqlite3")
    shutil.copy(fewer / "fewer.db3", tmp_path / "d")
    (tmp_path / "d#3").mkdir()
    shutil.copy(drive / "drive.db3", tmp_path / "d#3" / "x.db3")
    with open_bag(tmp_path / "d#3" / "x.db3") as bag:
        assert len(contents(bag)) == 8


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_writing_to_such_names(tmp_path, name):
    made = make_bag(MakeOptions("synthetic:1000", str(tmp_path / name), frames=2, storage="sqlite3"))
    assert made["images"] == 2 and [path.name for path in tmp_path.iterdir()] == [name]
    with open_bag(tmp_path / name) as bag:
        assert sum(topic.count for topic in choose_cameras(bag)[:1] for topic in [topic.topic]) == 2


def in_write_ahead_log(drive, count):
    """The recording, with so many messages more that its recorder had not yet taken over into the database
    when it died."""
    left = drive.with_name("left")
    database = sqlite3.connect(drive / "drive.db3")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    (number,) = database.execute("SELECT id FROM topics WHERE name = '/notes'").fetchone()
    database.executemany(
        "INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)",
        [(number, log_ns, raw) for _, log_ns, raw in texts(count, first_ns=START_NS + 10**12)],
    )
    database.commit()
    shutil.copytree(drive, left)
    database.close()
    (left / "drive.db3-shm").unlink()
    return left


@pytest.mark.parametrize("metadata", [True, False])
def test_what_a_dead_recorder_left_in_the_write_ahead_log_is_read(drive, metadata):
    with open_bag(drive) as bag:
        before = contents(bag)
    left = in_write_ahead_log(drive, 5)
    if not metadata:
        (left / "metadata.yaml").unlink()
    database, log = (left / "drive.db3").read_bytes(), (left / "drive.db3-wal").read_bytes()
    with open_bag(left) as bag:
        files = bag.files
        assert contents(bag) == before + texts(5, first_ns=START_NS + 10**12)
        assert {topic.name: topic.count for topic in bag.topics}["/notes"] == 9
        assert bag.notes == (
            ["metadata.yaml counts 4 messages on /notes, its files hold 9"]
            if metadata
            else ["metadata.yaml is missing: the files of the folder are used"]
        )
        assert bag.files == files, "what SQLite makes for reading is no part of the recording"
    assert (database, log) == ((left / "drive.db3").read_bytes(), (left / "drive.db3-wal").read_bytes())


def test_a_link_to_a_database_with_a_write_ahead_log(drive, tmp_path):
    left = in_write_ahead_log(drive, 5)
    (tmp_path / "link.db3").symlink_to(left / "drive.db3")
    with open_bag(tmp_path / "link.db3") as bag:
        assert len(contents(bag)) == 13


def test_an_empty_write_ahead_log(drive):
    (drive / "drive.db3-wal").touch()
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 8 and not bag.notes


def test_a_recorder_that_died_in_the_middle_of_writing(drive):
    """In the journal lies what was there before: without it the database is a mixture."""
    left = drive.with_name("left")
    database = sqlite3.connect(drive / "drive.db3", isolation_level=None)
    database.execute("PRAGMA cache_size = 1")
    database.execute("BEGIN")
    database.execute("UPDATE messages SET data = zeroblob(length(data))")
    shutil.copytree(drive, left)
    database.execute("ROLLBACK")
    database.close()
    file = left / "drive.db3"
    with pytest.raises(
        BagError,
        match=f"{file} has an unfinished transaction in drive.db3-journal: wait .*, or if it "
        f"was killed, roll back with `sqlite3 {file} 'PRAGMA user_version'`",
    ):
        open_bag(left)
    with sqlite3.connect(file) as mended:
        mended.execute("PRAGMA user_version").fetchall()
    with open_bag(left) as bag, open_bag(drive) as whole:
        assert contents(bag) == contents(whole)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_version_of_the_tables(drive, version):
    """Dashing knew no QoS, Humble no version, Iron brought definitions and type hashes."""
    with sqlite3.connect(drive / "drive.db3") as database:
        if version < 4:
            database.execute("DROP TABLE message_definitions")
            database.execute("ALTER TABLE topics DROP COLUMN type_description_hash")
        if version < 3:
            database.execute("DROP TABLE schema")
        if version < 2:
            database.execute("ALTER TABLE topics DROP COLUMN offered_qos_profiles")
    (drive / "metadata.yaml").unlink()
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 8
        assert all(bool(topic.definition and topic.digest) == (version == 4) for topic in bag.topics)


def test_order_is_that_of_log_times_also_without_the_index(drive):
    with open_bag(drive) as bag:
        expected = contents(bag)
    with sqlite3.connect(drive / "drive.db3") as database:
        rows = database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id DESC").fetchall()
        database.execute("DELETE FROM messages")
        database.executemany("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
        database.execute("DROP INDEX IF EXISTS timestamp_idx")
    with open_bag(drive) as bag:
        assert contents(bag) == expected and not bag.notes


def test_another_serialization(drive):
    with sqlite3.connect(drive / "drive.db3") as database:
        database.execute("UPDATE topics SET serialization_format = 'protobuf' WHERE name = '/notes'")
    with open_bag(drive / "drive.db3") as bag:
        assert {topic.name: topic.serialization for topic in bag.topics} == {
            "/camera/image_raw": "cdr",
            "/notes": "protobuf",
        }
        assert len(choose_cameras(bag)) == 1


def test_times_before_1970(drive):
    with sqlite3.connect(drive / "drive.db3") as database:
        database.execute("UPDATE messages SET timestamp = timestamp - ?", (START_NS + 10**10,))
    with open_bag(drive) as bag:
        times = [log_ns for _, log_ns, _ in contents(bag)]
        assert (
            times == sorted(times)
            and times[-1] < 0
            and (bag.start_ns, bag.end_ns) == (times[0], times[-1] + 1)
            and not bag.notes
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "data = NULL",
        "timestamp = NULL",
        "timestamp = 1.5",
        "timestamp = 'soon'",
        "data = 'text'",
        "topic_id = 9",
    ],
)
def test_rows_that_hold_something_else_are_left_out_and_noted(drive, change):
    with sqlite3.connect(drive / "drive.db3") as database:
        database.execute("CREATE TABLE loose AS SELECT * FROM messages")  # without the constraints
        database.execute("DROP TABLE messages")
        database.execute("ALTER TABLE loose RENAME TO messages")
        database.execute(f"UPDATE messages SET {change} WHERE id % 4 = 0")
    with open_bag(drive / "drive.db3") as bag:
        assert len(contents(bag)) == 6
        assert bag.notes == ["drive.db3 contains 2 messages without a topic, a time or data: ignored"]


def test_a_table_without_numbers(drive):
    with sqlite3.connect(drive / "drive.db3") as database:
        database.execute("CREATE TABLE bare AS SELECT topic_id, timestamp, data FROM messages")
        database.execute("DROP TABLE messages")
        database.execute("ALTER TABLE bare RENAME TO messages")
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 8 and not bag.notes


def test_columns_that_hold_something_else(drive):
    with sqlite3.connect(drive / "drive.db3") as database:
        database.execute("UPDATE topics SET type = x'ff00'")
    with pytest.raises(BagError, match="drive.db3 cannot be opened: "):
        open_bag(drive)
