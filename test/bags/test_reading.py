# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of recordings: every storage and compression alike, what a dead recorder left, and refusals by their message."""
import errno
import os
import shutil
import struct

import apsw
import pytest
import zstandard
from bags_helpers import CAMERA, cut_file, read_bag, write_bag
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import Reader

from dcfm_ros.bags import compression as bounds
from dcfm_ros.bags import reading, salvage
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.pipeline.frames import InputError

FORMS = [("mcap", ""), ("mcap", "storage"), ("mcap", "message"), ("mcap", "file"), ("sqlite3", ""), ("sqlite3", "message"),
         ("sqlite3", "file")]


def contents(bag):
    return [(topic.name, log_ns, bytes(raw)) for topic, log_ns, raw in bag.messages()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What every form of the recording has to hold."""
    with open_bag(write_bag(tmp_path_factory.mktemp("plain") / "bag", 6, extra=("/notes",))) as bag:
        return contents(bag)


@pytest.mark.parametrize("storage, compression", FORMS)
def test_every_storage_gives_the_same_messages(plain, tmp_path, storage, compression):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage, compression=compression)
    with open_bag(path) as bag:
        assert contents(bag) == plain and not bag.salvaged
        assert {topic.name: (topic.msgtype, topic.count) for topic in bag.topics} == {
            CAMERA: ("sensor_msgs/msg/Image", 6), "/notes": ("std_msgs/msg/String", 6)}
        assert (bag.start_ns, bag.end_ns) == (plain[0][1], plain[-1][1] + 1)
        camera = next(topic for topic in bag.topics if topic.name == CAMERA)
        assert "uint8[] data" in camera.definition and camera.digest.startswith("RIHS01_")
        assert [topic.name for topic, _, _ in bag.messages([camera])] == [CAMERA] * 6


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_file_alone_is_a_recording(plain, tmp_path, storage):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage)
    with open_bag(next(file for file in path.iterdir() if file.name != "metadata.yaml")) as bag:
        assert contents(bag) == plain and not bag.salvaged


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_without_metadata_the_files_are_read(plain, tmp_path, storage):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage)
    (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        assert contents(bag) == plain
        assert bag.salvaged == "metadata.yaml is missing: read by its files"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_messages_compressed_alone_without_metadata(plain, tmp_path, storage):
    path = write_bag(tmp_path / "bag", 6, extra=("/notes",), storage=storage, compression="message")
    (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        assert contents(bag) == plain


def test_a_message_that_would_fill_the_memory_stays_compressed(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "bag", 1, compression="message")
    (path / "metadata.yaml").unlink()
    monkeypatch.setattr(bounds, "MOST_BYTES", 1000)
    with open_bag(path) as bag:
        topic, _, raw = next(bag.messages())
        assert raw[:4] == bytes.fromhex("28b52ffd")
        with pytest.raises(InputError, match="is no sensor_msgs/msg/Image"):
            bag.decode(topic, raw)


@pytest.mark.parametrize("compression", ["", "storage", "message"])
@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_of_a_cut_mcap_the_whole_part_is_read(tmp_path, compression, metadata, share):
    path = write_bag(tmp_path / "bag", 400, compression=compression, extra=("/notes",))
    with open_bag(path) as bag:
        everything = contents(bag)
    cut_file(path / "bag.mcap", share)
    if not metadata:
        (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        rescued = contents(bag)
        # Where it was cut, a message is written after another that is recorded later.
        assert rescued[:-2] == everything[:len(rescued) - 2] and set(rescued) <= set(everything)
        assert len(rescued) == sum(topic.count for topic in bag.topics)
        assert len(rescued) > (share - 0.35) * len(everything), "a chunk is lost at most, and the last message"
        assert f"bag.mcap is cut off: {len(rescued)} messages before the end of its whole part" in bag.salvaged
        why = "metadata.yaml does not hold for what is cut off" if metadata else "metadata.yaml is missing"
        assert bag.salvaged.startswith(f"{why}: read by its files; ")
        assert (bag.start_ns, bag.end_ns) == (rescued[0][1], rescued[-1][1] + 1)
        assert all("uint8[] data" in topic.definition for topic in bag.topics if topic.name == CAMERA)


def test_a_cut_mcap_without_the_library_says_what_to_do(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "bag", 20)
    cut_file(path / "bag.mcap")
    monkeypatch.setattr(salvage, "StreamReader", None)
    with pytest.raises(BagError, match="bag.mcap is cut off: `pip install mcap` to read the part that is whole, or .*mcap recover"):
        open_bag(path)


_LZ4 = bytes.fromhex("04224d18")   # how a chunk's data begins


def lz4_file(tmp_path):
    """An .mcap of 40 images whose chunks are compressed by lz4."""
    file = tmp_path / "drive.mcap"
    with open_bag(write_bag(tmp_path / "source", 40)) as bag, file.open("wb") as stream:
        writer = McapWriter(stream, chunk_size=60_000, compression=CompressionType.LZ4)
        writer.start("ros2")
        for topic, log_ns, raw in bag.messages():
            if log_ns == bag.start_ns:
                schema = writer.register_schema(topic.msgtype, "ros2msg", topic.definition.encode())
                channel = writer.register_channel(topic.name, "cdr", schema)
            writer.add_message(channel, log_ns, raw, log_ns)
        writer.finish()
    return file


@pytest.mark.parametrize("damaged", [False, True])
def test_of_a_cut_mcap_of_lz4_the_whole_part_is_read(tmp_path, damaged):
    file = lz4_file(tmp_path)
    with open_bag(file) as bag:
        everything = contents(bag)
    cut_file(file, 0.9)
    if damaged:
        pieces = file.read_bytes().split(_LZ4)
        half = len(pieces) // 2
        file.write_bytes(_LZ4.join(pieces[:half]) + bytes(4) + _LZ4.join(pieces[half:]))
    with open_bag(file) as bag:
        rescued = contents(bag)
        assert rescued == everything[:len(rescued)]
        assert (15 if damaged else 30) < len(rescued) < (21 if damaged else 37)


def test_a_chunk_that_would_fill_the_memory(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "bag", 20, compression="storage")
    file = path / "bag.mcap"
    with Reader(file) as reader:
        chunk = reader.storage.chunks[0]
    sizes = struct.pack("<QQ", chunk.compressed_size, chunk.uncompressed_size)
    whole = file.read_bytes()
    assert whole.count(sizes) == 1
    file.write_bytes(whole.replace(sizes, struct.pack("<QQ", chunk.compressed_size, 2**40)))
    for one in (path, file):
        with pytest.raises(BagError, match=f"{one} is damaged: a chunk of {2**40} bytes, and none may have more than {2**30}"):
            open_bag(one)
    file.write_bytes(whole[:-40])
    monkeypatch.setattr(salvage, "MOST_BYTES", 1000)
    with open_bag(path) as bag:
        assert not contents(bag) and "0 messages before the end of its whole part" in bag.salvaged


def test_a_cut_mcap_in_a_compressed_file(tmp_path):
    path = write_bag(tmp_path / "bag", 20, compression="file")
    file = path / "bag.mcap.zstd"
    file.write_bytes(zstandard.compress(zstandard.decompress(file.read_bytes(), 2**24)[:-40]))
    with pytest.raises(BagError, match=f"{path} is cut off, and its files are compressed: decompress them with `zstd -d`"):
        open_bag(path)


def test_compressed_files_that_are_left_out_are_told(tmp_path):
    path = write_bag(tmp_path / "bag", 2)
    (path / "metadata.yaml").unlink()
    (path / "bag_0.mcap.zstd").write_bytes(b"")
    with open_bag(path) as bag:
        assert "read by its files, but for 1 that are compressed" in bag.salvaged


def test_parts_of_a_recording_follow_each_other(tmp_path):
    first, second = (write_bag(tmp_path / name, 5, seed=seed) for seed, name in enumerate(("drive_9", "drive_10")))
    both = tmp_path / "both"
    both.mkdir()
    for path in (first, second):
        shutil.copy(path / f"{path.name}.mcap", both)
    expected = [message for path in (first, second) for message in read_bag(path)[CAMERA]]
    found = read_bag(both)[CAMERA]   # in natural order of the names: 9 before 10
    assert [log_ns for log_ns, _ in found] == [log_ns for log_ns, _ in expected]
    assert all((one.data == other.data).all() for (_, one), (_, other) in zip(found, expected))
    with open_bag(both) as bag:
        assert bag.topics[0].count == 10


def unreadable(tmp_path, kind):
    path = tmp_path / "bag"
    if kind == "missing":
        return path
    if kind == "empty folder":
        path.mkdir()
    elif kind == "unfinished":
        return write_bag(tmp_path / "bag.partial", 2)
    elif kind == "text":
        path = tmp_path / "notes.txt"
        path.write_text("hello")
    elif kind == "ros1":
        path = tmp_path / "old.bag"
        path.write_bytes(b"#ROSBAG V2.0\n")
    elif kind == "damaged sqlite3":
        write_bag(path, 60, storage="sqlite3")
        cut_file(path / "bag.db3", 0.01)
    elif kind == "no sqlite3":
        write_bag(path, 2, storage="sqlite3")
        (path / "bag.db3").write_bytes(b"this is no database" * 100)
    elif kind == "no mcap":
        path = tmp_path / "bag.mcap"
        path.write_bytes(b"this is no mcap file" * 100)
    elif kind == "empty mcap":
        path = tmp_path / "bag.mcap"
        path.write_bytes(b"")
    elif kind == "file missing":
        write_bag(path, 2)
        (path / "bag.mcap").unlink()
    elif kind == "bad metadata":
        write_bag(path, 2)
        (path / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    elif kind == "other metadata":
        write_bag(path, 2)
        (path / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 9}")
    return path


@pytest.mark.parametrize("kind, text", [
    ("missing", "there is no .*bag: give a folder with metadata.yaml, or a file"),
    ("empty folder", "holds no metadata.yaml and no file .mcap or .db3: it is no recording"),
    ("unfinished", "bag.partial is an unfinished output: finish it by running the command again"),
    ("text", "notes.txt is no recording: give a folder with metadata.yaml"),
    ("ros1", "old.bag is a recording of ROS 1: convert it with `rosbags-convert"),
    ("damaged sqlite3", "bag cannot be opened: .*; is it a whole recording of ROS 2"),
    ("no sqlite3", "bag cannot be opened: .*not a database.*; is it a whole recording of ROS 2"),
    ("no mcap", "bag.mcap cannot be opened: File magic is invalid; is it"),
    ("empty mcap", "bag.mcap cannot be opened: .*empty; is it"),
    ("file missing", "bag cannot be opened: Some database files are missing.*bag.mcap"),
    ("bad metadata", "bag cannot be opened: Could not load YAML"),
    ("other metadata", "bag cannot be opened: A metadata key is missing"),
])
def test_what_is_no_recording(tmp_path, kind, text):
    with pytest.raises(BagError, match=text):
        open_bag(unreadable(tmp_path, kind))


@pytest.mark.parametrize("name", ["seek", "Truncated record", "Unexpected record", "Invalid MCAP"])
def test_the_name_of_a_folder_is_not_taken_for_a_fault(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(BagError, match=f"{name}/bag cannot be opened: Some database files are missing"):
        open_bag(unreadable(folder, "file missing"))


def failing(error, opened=False):
    """A reader of which the system takes the files away: when it is opened, or after three messages."""
    class Failing(Reader):
        def open(self):
            if not opened:
                raise error
            super().open()

        def messages(self, *arguments):
            for number, message in enumerate(super().messages(*arguments)):
                if number == 3:
                    raise error
                yield message
    return Failing


@pytest.mark.parametrize("error, number", [
    (OSError(errno.ESTALE, "Stale file handle"), errno.ESTALE),
    (PermissionError(errno.EACCES, "Permission denied"), errno.EACCES),
    (apsw.IOError("disk I/O error"), errno.EIO),
])
@pytest.mark.parametrize("opened", [False, True])
def test_what_the_system_refuses_is_no_damage(tmp_path, monkeypatch, error, number, opened):
    """So that it is tried again."""
    path = write_bag(tmp_path / "bag", 6)
    monkeypatch.setattr(reading, "Reader", failing(error, opened))
    with pytest.raises(OSError, match=f"cannot read {path}: ") as caught, open_bag(path) as bag:
        contents(bag)
    assert caught.value.errno == number


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_file_that_the_system_cannot_read(tmp_path, named):
    """The memory of this process at address 0: it can be opened, and gives EIO."""
    path = tmp_path / "bag"
    path.mkdir()
    os.symlink("/proc/self/mem", path / "bag.mcap")
    with pytest.raises(OSError, match="cannot read .*bag.mcap: ") as caught:
        open_bag(path if named == "folder" else path / "bag.mcap")
    assert caught.value.errno == errno.EIO


def test_a_cut_file_that_the_system_cannot_read(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "bag", 100)
    file = cut_file(path / "bag.mcap")
    with open_bag(path) as bag:
        file.unlink()
        os.symlink("/proc/self/mem", file)
        with pytest.raises(OSError, match=f"cannot read {file}: "):
            contents(bag)


@pytest.mark.parametrize("named", ["", "long" * 100])
def test_what_damaged_metadata_asks_of_the_system(tmp_path, named):
    path = write_bag(tmp_path / "bag", 2)
    text = (path / "metadata.yaml").read_text()
    assert text.count("- bag.mcap") == 1
    (path / "metadata.yaml").write_text(text.replace("- bag.mcap", f"- '{named}'"))
    with pytest.raises(BagError, match=f"{path} cannot be opened: "):
        open_bag(path)


def test_a_sqlite3_file_that_breaks_on_the_way(tmp_path):
    path = write_bag(tmp_path / "bag", 100, storage="sqlite3")
    file = path / "bag.db3"
    data = bytearray(file.read_bytes())
    data[len(data) // 2:] = bytes(len(data) - len(data) // 2)
    file.write_bytes(data)
    with pytest.raises(BagError, match="damaged: .*|cannot be opened"), open_bag(path) as bag:
        contents(bag)


@pytest.mark.parametrize("raw", [b"", b"\0\1\0\0", b"\0\1\0\0" + bytes(20), b"\0\1\0\0" + b"\xff" * 200, b"rubbish " * 50])
def test_bytes_that_are_no_message(tmp_path, raw):
    with open_bag(write_bag(tmp_path / "bag", 1)) as bag:
        topic = bag.topics[0]
        with pytest.raises(InputError, match=f"a message of {len(raw)} bytes on {CAMERA} is no sensor_msgs/msg/Image") as caught:
            bag.decode(topic, raw)
        assert caught.value.kind == "message"


def test_pixels_are_not_copied(tmp_path):
    with open_bag(write_bag(tmp_path / "bag", 1)) as bag:
        topic, _, raw = next(bag.messages())
        assert bag.decode(topic, raw).data.base is not None
