# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of recordings: every storage and compression alike, what a dead recorder left, and refusals by
their message."""

import errno
import os
import shutil
import sqlite3

import pytest
from bags_helpers import CAMERA, contents, cut_file, write_bag

from dcfm_ros.bags import compression as bounds
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.pipeline.frames import InputError

FORMS = [
    ("mcap", ""),
    ("mcap", "storage"),
    ("mcap", "message"),
    ("mcap", "file"),
    ("sqlite3", ""),
    ("sqlite3", "message"),
    ("sqlite3", "file"),
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What every form of the recording has to hold."""
    with open_bag(write_bag(tmp_path_factory.mktemp("plain") / "bag", 6, extra=("/notes",))) as bag:
        return contents(bag)


@pytest.mark.parametrize("storage, compression", FORMS)
def test_every_storage_gives_the_same_messages(plain, tmp_path, storage, compression):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage, compression=compression)
    with open_bag(path) as bag:
        assert contents(bag) == plain and not bag.notes
        assert {topic.name: (topic.msgtype, topic.count) for topic in bag.topics} == {
            CAMERA: ("sensor_msgs/msg/Image", 6),
            "/notes": ("std_msgs/msg/String", 6),
        }
        assert (bag.start_ns, bag.end_ns) == (plain[0][1], plain[-1][1] + 1)
        camera = next(topic for topic in bag.topics if topic.name == CAMERA)
        assert "uint8[] data" in camera.definition and camera.digest.startswith("RIHS01_")
        assert [topic.name for topic, _, _ in bag.messages([camera])] == [CAMERA] * 6


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_file_alone_is_a_recording(plain, tmp_path, storage):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage)
    with open_bag(next(file for file in path.iterdir() if file.name != "metadata.yaml")) as bag:
        assert contents(bag) == plain and not bag.notes


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_without_metadata_the_files_are_read(plain, tmp_path, storage):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage)
    (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        assert contents(bag) == plain
        assert bag.notes == ["metadata.yaml is missing: the files of the folder are used"]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_messages_compressed_alone_without_metadata(plain, tmp_path, storage):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage, compression="message")
    (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        assert contents(bag) == plain


def test_a_message_that_would_fill_the_memory_stays_compressed(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "bag", 1, storage="sqlite3", compression="message")
    monkeypatch.setattr(bounds, "MAX_BYTES", 1000)
    with open_bag(path) as bag:
        topic, _, raw = next(bag.messages())
        assert raw[:4] == bytes.fromhex("28b52ffd")
        with pytest.raises(InputError, match="is not a sensor_msgs/msg/Image"):
            bag.decode(topic, raw)


def test_parts_of_a_recording_are_merged_by_time(tmp_path):
    """Recorders split a recording; parts may overlap, and their names need not follow their times."""
    parts = [write_bag(tmp_path / f"part_{number}", 5, seed=number, extra=("/notes",)) for number in range(3)]
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = []
    for number, path in enumerate(parts):
        shutil.copy(path / f"{path.name}.mcap", whole / f"drive_{9 - number}.mcap")
        with open_bag(path) as bag:
            expected += contents(bag)
    with open_bag(whole) as bag:
        found = contents(bag)
        assert sorted(found) == sorted(expected) and [log_ns for _, log_ns, _ in found] == sorted(
            log_ns for _, log_ns, _ in expected
        )
        assert {topic.name: topic.count for topic in bag.topics} == {CAMERA: 15, "/notes": 15}
        assert contents(bag) == found, "every time in the same order"


def test_a_part_is_opened_when_its_time_comes(tmp_path, monkeypatch):
    """There may be hundreds, each with chunks of some megabytes."""
    whole = tmp_path / "whole"
    whole.mkdir()
    for number in range(3):
        path = write_bag(tmp_path / f"part_{number}", 4, start_ns=1_000_000_000_000 * (number + 1))
        shutil.copy(path / f"{path.name}.mcap", whole)
    with open_bag(whole) as bag:
        begun = []
        for storage in bag._storages:
            monkeypatch.setattr(
                storage,
                "messages",
                lambda keys, of=storage, all_of=storage.messages: (begun.append(of), all_of(keys))[1],
            )
        seen = [len(begun) for _ in bag.messages()]
        assert seen[:3] == [1] * 3 and seen[4:7] == [2] * 3 and seen[8:] == [3] * 4


@pytest.mark.parametrize(
    "kind, text",
    [
        ("missing", "there is no .*bag: give a folder with metadata.yaml, or a file"),
        ("empty folder", "holds no metadata.yaml and no file .mcap or .db3: it is not a recording"),
        ("unfinished", "bag.partial is an unfinished output: run the command that started it again"),
        (
            "text",
            "notes.txt is not a recording: it starts neither like .mcap nor like .db3 files; copy it again, "
            "or give another",
        ),
        (
            "ros1",
            "old.bag is a recording of ROS 1: convert it with `rosbags-convert --src .*old.bag --dst old`",
        ),
        ("pointer", "bag.mcap is a Git LFS pointer, not the file itself: fetch the file with `git lfs pull`"),
        ("damaged sqlite3", "bag.db3 is damaged|bag.db3 cannot be opened"),
        ("no sqlite3", "bag.db3 is not a recording: it starts neither like"),
        ("other database", "bag.db3 is a database without ROS messages: give a recording of ROS 2"),
        ("empty mcap", "bag.mcap is empty: its recorder wrote nothing, or a copy failed"),
        (
            "file missing",
            "metadata.yaml names bag.mcap, and there is no file .mcap or .db3; copy the files beside it",
        ),
        (
            "bad metadata",
            "bag: metadata.yaml is not valid YAML, and there is no file .mcap or .db3 beside it",
        ),
        (
            "other storage",
            "metadata.yaml names drive.xyz of storage 'xyz', and there is no file .mcap or .db3",
        ),
    ],
)
def test_what_is_no_recording(tmp_path, kind, text):
    with pytest.raises(BagError, match=text):
        open_bag(unreadable(tmp_path, kind))


def unreadable(tmp_path, kind):
    path = tmp_path / "bag"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "unfinished":
        return write_bag(tmp_path / "bag.partial", 2)
    elif kind in ("text", "ros1", "empty mcap", "pointer"):
        name, data = {
            "text": ("notes.txt", b"hello"),
            "ros1": ("old.bag", b"#ROSBAG V2.0\n"),
            "empty mcap": ("bag.mcap", b""),
            "pointer": ("bag.mcap", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        }[kind]
        path = tmp_path / name
        path.write_bytes(data)
    elif kind == "damaged sqlite3":
        write_bag(path, 60, storage="sqlite3")
        cut_file(path / "bag.db3", 0.01)
    elif kind == "no sqlite3":
        write_bag(path, 2, storage="sqlite3")
        (path / "bag.db3").write_bytes(b"this is no database" * 100)
    elif kind == "other database":
        path = tmp_path / "bag.db3"
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE notes (text)")
    elif kind in ("file missing", "bad metadata", "other storage"):
        write_bag(path, 2)
        (path / "bag.mcap").unlink()
        if kind == "bad metadata":
            (path / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
        elif kind == "other storage":
            text = (
                (path / "metadata.yaml")
                .read_text()
                .replace("bag.mcap", "drive.xyz")
                .replace("identifier: mcap", "identifier: xyz")
            )
            (path / "metadata.yaml").write_text(text)
    return path


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_file_that_the_system_cannot_read(tmp_path, named):
    """What the system refuses is no damage, so that it is tried again. The memory of this process at address
    0 can be opened, and gives EIO."""
    path = tmp_path / "bag"
    path.mkdir()
    os.symlink("/proc/self/mem", path / "bag.mcap")
    with pytest.raises(OSError, match="cannot read .*bag.mcap: ") as caught:
        open_bag(path if named == "folder" else path / "bag.mcap")
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_file_that_fails_on_the_way(tmp_path, storage):
    path = write_bag(tmp_path / "bag", 100, storage=storage)
    file = next(file for file in path.iterdir() if file.name != "metadata.yaml")
    with open_bag(path) as bag:
        if storage == "sqlite3":
            os.truncate(file, 0)
        else:
            file.unlink()
            os.symlink("/proc/self/mem", file)
        with pytest.raises(OSError if storage == "mcap" else (OSError, BagError), match=str(file)):
            contents(bag)


def test_a_sqlite3_file_that_breaks_on_the_way(tmp_path):
    path = write_bag(tmp_path / "bag", 100, storage="sqlite3")
    file = path / "bag.db3"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    file.write_bytes(data)
    with (
        pytest.raises(BagError, match=f"{file} (is damaged|cannot be opened): .*; repair it with `sqlite3"),
        open_bag(path) as bag,
    ):
        contents(bag)


@pytest.mark.parametrize(
    "raw", [b"", b"\0\1\0\0", b"\0\1\0\0" + bytes(20), b"\0\1\0\0" + b"\xff" * 200, b"rubbish " * 50]
)
def test_bytes_that_are_no_message(tmp_path, raw):
    with open_bag(write_bag(tmp_path / "bag", 1)) as bag:
        topic = bag.topics[0]
        with pytest.raises(
            InputError, match=f"a message of {len(raw)} bytes on {CAMERA} is not a sensor_msgs/msg/Image"
        ) as caught:
            bag.decode(topic, raw)
        assert caught.value.kind == "message"


def test_pixels_are_not_copied(tmp_path):
    with open_bag(write_bag(tmp_path / "bag", 1)) as bag:
        topic, _, raw = next(bag.messages())
        assert bag.decode(topic, raw).data.base is not None
