# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml of every version, edited by hand, broken, and at odds with the files beside it."""

import shutil

import pytest
import yaml
from bags_helpers import CAMERA, contents, write_bag

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.topics import choose_cameras

KEY = "rosbag2_bagfile_information"
_QOS = """- history: 3
  depth: 0
  reliability: 1
  durability: 2
  deadline: {sec: 9223372036, nsec: 854775807}
  lifespan: {sec: 9223372036, nsec: 854775807}
  liveliness: 1
  liveliness_lease_duration: {sec: 9223372036, nsec: 854775807}
  avoid_ros_namespace_conventions: false"""


@pytest.fixture(params=["mcap", "sqlite3"])
def drive(request, tmp_path):
    return write_bag(tmp_path / "drive", 6, storage=request.param)


def edit(folder, change):
    file = folder / "metadata.yaml"
    whole = yaml.safe_load(file.read_text())
    change(whole[KEY])
    file.write_text(yaml.safe_dump(whole, sort_keys=False))


@pytest.mark.parametrize("qos", ["[" * 100_000, "a: &a [*a]", "- history: 3", [{}], 7])
def test_odd_qos_is_none(drive, qos):
    def change(information):
        information["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"] = qos

    edit(drive, change)
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6 and not bag.notes


@pytest.mark.slow
@pytest.mark.parametrize("version", range(1, 12))
def test_every_version(drive, version):
    def as_of(information):
        information["version"] = version
        for topic in information["topics_with_message_count"]:
            topic["topic_metadata"]["offered_qos_profiles"] = _QOS
            if version < 7:
                del topic["topic_metadata"]["type_description_hash"]
            if version < 4:
                del topic["topic_metadata"]["offered_qos_profiles"]
        for name in (
            ["ros_distro"] * (version < 8)
            + ["custom_data"] * (version < 6)
            + ["files"] * (version < 5)
            + ["compression_format", "compression_mode"] * (version < 3)
        ):
            information.pop(name, None)
        if version < 4:  # with the folder's name, as it was when it was recorded
            information["relative_file_paths"] = [
                f"another/{name}" for name in information["relative_file_paths"]
            ]

    edit(drive, as_of)
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6 and not bag.notes


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda information: information.update(storage_identifier=""),  # as `ros2 bag reindex` leaves it
        lambda information: information.update(storage_identifier="rosbag2_v2"),
        lambda information: information.pop("storage_identifier"),
        lambda information: information.update(version="nine"),
        lambda information: information.pop("duration"),
        lambda information: information.update(starting_time=None),
        lambda information: information.update(
            compression_mode="FILE", compression_format="zstd"
        ),  # decompressed by hand
        lambda information: information.update(compression_format="lz4"),
        lambda information: information.update(
            ros_distro=None, custom_data=None, files=None, message_count=0
        ),
        lambda information: information.update(relative_file_paths=2 * information["relative_file_paths"]),
        lambda information: information["topics_with_message_count"][0]["topic_metadata"].update(
            offered_qos_profiles="{"
        ),
        lambda information: information["topics_with_message_count"][0]["topic_metadata"].pop(
            "serialization_format"
        ),
    ],
)
def test_what_the_files_say_themselves_is_not_asked_of_it(drive, change):
    edit(drive, change)
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6 and not bag.notes


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, note",
    [
        ("", "metadata.yaml is incomplete"),
        ("rosbag2_bagfile_information:\n  vers", "metadata.yaml is incomplete"),
        ("rosbag2_bagfile_information: {version: 9}", "metadata.yaml is incomplete"),
        ("- a\n- b", "metadata.yaml is incomplete"),
        ("rosbag2_bagfile_information: [", "metadata.yaml is not valid YAML"),
        ("\tx", "metadata.yaml is not valid YAML"),
        (b"\xff\xfe\0\0", "metadata.yaml is not valid YAML"),
        ("!!python/object/apply:os.system [echo]", "metadata.yaml is not valid YAML"),
        ("[" * 100_000, "metadata.yaml is not valid YAML"),  # libyaml's parser ends the process
        ("a: &a [1, 2]\nb: &b [*a, *a]\nc: 2024-13-45", "metadata.yaml is not valid YAML"),
    ],
)
def test_broken_metadata_is_noted_and_the_files_are_read(drive, text, note):
    (drive / "metadata.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6 and bag.notes == [f"{note}: the files of the folder are used"]


def test_counts_that_differ_are_noted(drive):
    def change(information):
        information["topics_with_message_count"][0]["message_count"] = 40
        for number in range(5):
            topic = {"name": f"/lost_{number}", "type": "std_msgs/msg/String", "serialization_format": "cdr"}
            information["topics_with_message_count"].append(
                {"topic_metadata": topic, "message_count": number}
            )

    edit(drive, change)
    with open_bag(drive) as bag:
        assert bag.notes == [
            f"metadata.yaml counts 40 messages on {CAMERA}, its files hold 6; 1 messages on /lost_1, its "
            "files hold 0; 2 messages on /lost_2, its files hold 0; and 2 more topics"
        ]
        assert len(contents(bag)) == 6 and len(bag.notes) == 1


def split(folder, name, seeds):
    """A recording of several files."""
    whole = folder / name
    parts = [
        write_bag(folder / f"{name}_{seed}", 3, seed=seed, start_ns=10**18 + seed * 10**12) for seed in seeds
    ]
    shutil.copytree(parts[0], whole)
    for part in parts[1:]:
        shutil.copy(part / f"{part.name}.mcap", whole)
    edit(
        whole,
        lambda information: (
            information.update(
                relative_file_paths=[f"{part.name}.mcap" for part in parts], message_count=3 * len(parts)
            ),
            information["topics_with_message_count"][0].update(message_count=3 * len(parts)),
        ),
    )
    return whole


def test_files_that_are_missing_or_not_named(tmp_path):
    whole = split(tmp_path, "drive", (0, 1, 2))
    with open_bag(whole) as bag:
        everything = contents(bag)
        assert len(everything) == 9 and not bag.notes
    (whole / "drive_1.mcap").rename(whole / "other.mcap")
    with open_bag(whole) as bag:
        assert contents(bag) == everything[:3] + everything[6:]
        assert bag.notes == [
            "drive_1.mcap, listed in metadata.yaml, is missing",
            "other.mcap is not listed in metadata.yaml: ignored",
            f"metadata.yaml counts 9 messages on {CAMERA}, its files hold 6",
        ]


def test_a_file_that_cannot_be_opened_leaves_the_others_alone(tmp_path):
    whole = split(tmp_path, "drive", (0, 1, 2))
    (whole / "drive_2.mcap").write_bytes(b"")  # begun when the recorder died
    with open_bag(whole) as bag:
        assert len(contents(bag)) == 6
        assert (
            bag.notes[0]
            == f"ignored: {whole / 'drive_2.mcap'} is empty: its recorder wrote nothing, or a copy failed"
        )


@pytest.mark.parametrize("path", ["files/{}", "bag\\{}", "/recorded/elsewhere/{}"])
def test_paths_with_folders(drive, path):
    file = next(file for file in drive.iterdir() if file.name != "metadata.yaml")
    if path.startswith("files"):
        (drive / "files").mkdir()
        file.rename(drive / "files" / file.name)
    edit(drive, lambda information: information.update(relative_file_paths=[path.format(file.name)]))
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6 and not bag.notes


def test_metadata_that_names_no_files(drive):
    edit(drive, lambda information: information.update(relative_file_paths=[]))
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6 and bag.notes == [
            "metadata.yaml names no files: the files of the folder are used"
        ]


def test_the_metadata_itself_means_its_folder(drive):
    with open_bag(drive / "metadata.yaml") as bag:
        assert bag.path == drive and len(contents(bag)) == 6


def test_of_a_recording_in_both_storages_one_is_read(tmp_path):
    """As `ros2 bag convert` leaves it in one folder."""
    one, other = (
        write_bag(tmp_path / storage / "drive", 6, storage=storage) for storage in ("mcap", "sqlite3")
    )
    shutil.copy(other / "drive.db3", one)
    (one / "metadata.yaml").unlink()
    with open_bag(one) as bag:
        assert len(contents(bag)) == 6
        assert bag.notes == [
            "metadata.yaml is missing: the files of the folder are used",
            "drive.mcap is ignored: drive.db3 has the same name, and no metadata.yaml says which is right",
        ]


@pytest.mark.parametrize("digest", ["INVALID", "TypeHash_unset", "", None])
def test_type_hashes_that_are_none(drive, digest):
    edit(
        drive,
        lambda information: information["topics_with_message_count"][0]["topic_metadata"].update(
            type_description_hash=digest
        ),
    )
    with open_bag(drive) as bag:
        assert len(choose_cameras(bag)) == 1


def test_a_file_that_was_renamed(drive):
    file = next(file for file in drive.iterdir() if file.name != "metadata.yaml")
    file.rename(drive / f"other{file.suffix}")
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6
        assert bag.notes == [
            f"metadata.yaml names {file.name}, which is not there: the files of the folder are used"
        ]


@pytest.mark.slow
@pytest.mark.parametrize("named", ["", "long" * 100, "..", "/etc/passwd", None, 7])
def test_names_that_no_file_has(drive, named):
    edit(drive, lambda information: information.update(relative_file_paths=[named]))
    with open_bag(drive) as bag:
        assert len(contents(bag)) == 6 and bag.notes[0].endswith(
            "which is not there: the files of the folder are used"
        )


def test_a_recording_without_messages(tmp_path):
    for storage in ("mcap", "sqlite3"):
        with open_bag(write_bag(tmp_path / storage, 0, storage=storage)) as bag:
            assert contents(bag) == [] and [topic.count for topic in bag.topics] == [0] and not bag.notes
            assert (bag.start_ns, bag.end_ns) == (0, 0)


def test_no_files_at_all(drive):
    for file in drive.iterdir():
        if file.name != "metadata.yaml":
            file.unlink()
    with pytest.raises(
        BagError,
        match=f"{drive} cannot be read: metadata.yaml names drive.*, and there is no file .mcap or .db3",
    ):
        open_bag(drive)
