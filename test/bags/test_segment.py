# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of a recording as a recording: what is in it, and what its messages say."""

import json
from dataclasses import replace

import numpy as np
import pytest
from bags_helpers import CAMERA, LOG_DELAY_NS, OFFSET_NS, PERIOD_NS, START_NS, cut_file, read_bag, write_bag
from helpers import CLASSES, own_mask, tiny_model, write_tiny_model
from rosbags.rosbag2 import StoragePlugin, Writer
from segmenting_helpers import CAMERAS, content, plain, segment

from dcfm_ros import cli
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.options import BagSegmentOptions
from dcfm_ros.bags.outputs import CameraOutputs
from dcfm_ros.bags.progress import STATE_FILE, CameraProgress, Progress, UnfinishedOutput
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.replay import Replay
from dcfm_ros.bags.topics import CameraTopic, choose_cameras
from dcfm_ros.bags.types import IMAGE, LABEL_INFO, MASK_INFO, typestore
from dcfm_ros.bags.writing import Parts
from dcfm_ros.model.model_yaml import ModelError

FRAMES = 16
OURS = ("mask", "mask_info", "keyframe", "palette", "label_info")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "drive", FRAMES, motion=0.5, cut=9)


@pytest.fixture(scope="module")
def made(bag, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "masks"
    return segment(bag, out, model, part_images=9), out


@pytest.mark.slow
def test_masks_are_those_of_the_live_nodes_segmenter(bag, model, made):
    messages = read_bag(made[1])["/dcfm/mask"]
    with (
        open_bag(bag) as recording,
        Replay(recording, choose_cameras(recording), tiny_model(), "torch", "f32") as replay,
    ):
        expected = [result.mask for result in replay.run()]
    assert len(messages) == len(expected) == FRAMES
    for (_, message), mask in zip(messages, expected):
        assert (message.height, message.width, message.step, message.encoding) == (
            *mask.shape,
            mask.shape[1],
            "mono8",
        )
        assert np.array_equal(message.data.reshape(mask.shape), mask)
    first = read_bag(bag)["/camera/image_raw"][0][1]
    assert np.array_equal(
        expected[0], own_mask(tiny_model(), first.data.reshape(first.height, first.width, 3).copy())
    )


def test_headers_and_log_times_are_those_of_the_images(bag, made):
    images, out = read_bag(bag)["/camera/image_raw"], read_bag(made[1])
    for topic in ("/dcfm/mask", "/dcfm/mask_info"):
        assert [(log_ns, plain(message.header)) for log_ns, message in out[topic]] == [
            (log_ns, plain(message.header)) for log_ns, message in images
        ]
    by_log_ns = {log_ns: plain(message.header) for log_ns, message in images}
    assert all(by_log_ns[log_ns] == plain(message.header) for log_ns, message in out["/dcfm/keyframe"])
    # stamps differ from log times, else this test says nothing
    assert images[0][0] - LOG_DELAY_NS == START_NS


def test_infos_tell_how_masks_were_made(made):
    out = read_bag(made[1])
    infos, keyframes = (
        [message for _, message in out["/dcfm/mask_info"]],
        [message for _, message in out["/dcfm/keyframe"]],
    )
    assert [info.sequence for info in infos] == [*range(1, FRAMES + 1)]
    at = [number for number, info in enumerate(infos) if info.is_keyframe]
    assert at[0] == 0 and 1 < len(at) < FRAMES and len(keyframes) == len(at)
    assert [event.interval_frames for event in keyframes] == [0, *np.diff(at)]
    assert [event.reason for event in keyframes][:2] == ["first", "deviation"]
    for number, info in enumerate(infos):
        keyframe = max(one for one in at if one <= number)
        assert (info.mode, info.camera, info.dropped_since_last) == ("sync", "", 0)
        assert info.feature_age_frames == number - keyframe
        assert plain(info.feature_stamp) == plain(infos[keyframe].header.stamp)
        assert info.feature_age_s == pytest.approx((number - keyframe) * PERIOD_NS / 1e9)
        assert info.latency_s > info.shallow_s > 0
    assert [event.score for event in keyframes] == [infos[number].score for number in at]
    assert all(event.encode_s > 0 for event in keyframes)


def test_classes_are_told_with_the_first_mask_and_once_a_second(made):
    """Players that begin with a later part, or at an offset, know nothing of latched messages before."""
    out = read_bag(made[1])
    masks, told = ([log_ns for log_ns, _ in out[topic]] for topic in ("/dcfm/mask", "/dcfm/palette"))
    assert told == masks[::15] and told == [log_ns for log_ns, _ in out["/dcfm/label_info"]] and len(told) > 1
    (_log_ns, palette), (_, labels) = out["/dcfm/palette"][0], out["/dcfm/label_info"][0]
    assert palette.model == "tiny"
    assert [(one.id, one.name, (one.r, one.g, one.b)) for one in palette.classes] == [
        (number, one.name, one.color) for number, one in enumerate(CLASSES[:4])
    ]
    assert [(one.class_id, one.class_name) for one in labels.class_map] == [
        (n, c.name) for n, c in enumerate(CLASSES[:4])
    ]
    assert (
        plain(palette.header)
        == plain(labels.header)
        == {**plain(out["/dcfm/mask"][0][1].header), "frame_id": ""}
    )


def test_report(bag, made):
    report, out = made
    assert report["out"] == str(out) and report["bag"]["path"] == str(bag) and report["left_out"] == {}
    (camera,) = report["cameras"]
    events = [message.reason for _, message in read_bag(out)["/dcfm/keyframe"]]
    assert (camera["images"], camera["masks"], camera["keyframes"], camera["skipped"]) == (
        FRAMES,
        FRAMES,
        len(events),
        {},
    )
    assert camera["keyframe_reasons"] == {reason: events.count(reason) for reason in set(events)}
    assert report["topics"] == {topic: len(messages) for topic, messages in read_bag(out).items()}
    assert set(report["topics"]) == {f"/dcfm/{name}" for name in OURS}
    json.dumps(report)


@pytest.mark.slow
def test_the_same_recording_gives_the_same_masks_twice(bag, model, made, tmp_path):
    segment(bag, tmp_path / "again", model)
    assert content(tmp_path / "again") == content(made[1])


@pytest.mark.slow
@pytest.mark.parametrize("storage, compression", [("mcap", "none"), ("sqlite3", ""), ("sqlite3", "zstd")])
def test_storages_hold_the_same(bag, model, made, tmp_path, storage, compression):
    segment(bag, tmp_path / "out", model, storage=storage, compression=compression)
    assert content(tmp_path / "out") == content(made[1])


@pytest.mark.slow
def test_parts_hold_the_same_as_one_file(bag, model, made, tmp_path):
    segment(bag, tmp_path / "out", model, part_images=1000)
    assert len([*(tmp_path / "out").glob("*.mcap")]) == 1 < len([*made[1].glob("*.mcap")])
    assert content(tmp_path / "out") == content(made[1])


@pytest.mark.slow
def test_cameras_have_topics_of_their_own(model, tmp_path):
    bag = write_bag(tmp_path / "bag", 6, CAMERAS, encoding="jpeg")
    report = segment(bag, tmp_path / "out", model)
    out = read_bag(tmp_path / "out")
    assert {*out} == {f"/dcfm/{camera}/{name}" for camera in ("front", "rear") for name in OURS}
    assert [camera["mask_topic"] for camera in report["cameras"]] == ["/dcfm/front/mask", "/dcfm/rear/mask"]
    for number, camera in enumerate(("front", "rear")):
        assert [log_ns for log_ns, _ in out[f"/dcfm/{camera}/mask"]] == [
            START_NS + index * PERIOD_NS + number * OFFSET_NS + LOG_DELAY_NS for index in range(6)
        ]
        assert {message.header.frame_id for _, message in out[f"/dcfm/{camera}/mask"]} == {f"camera_{number}"}
        assert {message.camera for _, message in out[f"/dcfm/{camera}/mask_info"]} == {camera}
    only = segment(bag, tmp_path / "rear", model, topics=("/rear/image_raw",))
    assert [camera["mask_topic"] for camera in only["cameras"]] == ["/dcfm/mask"]
    assert [plain(m)["data"] for _, m in read_bag(tmp_path / "rear")["/dcfm/mask"]] == [
        plain(m)["data"] for _, m in out["/dcfm/rear/mask"]
    ]


@pytest.mark.slow
def test_two_sided_masks_have_the_times_of_their_images(bag, model, made, tmp_path):
    segment(bag, tmp_path / "out", model, mode="two_sided")
    mine, causal = read_bag(tmp_path / "out"), read_bag(made[1])
    assert [log_ns for log_ns, _ in mine["/dcfm/mask"]] == [log_ns for log_ns, _ in causal["/dcfm/mask"]]
    assert {message.mode for _, message in mine["/dcfm/mask_info"]} == {"two_sided"}
    assert content(tmp_path / "out")["/dcfm/keyframe"] == content(made[1])["/dcfm/keyframe"]
    assert content(tmp_path / "out")["/dcfm/mask"] != content(made[1])["/dcfm/mask"]


def test_images_that_cannot_be_used_are_counted(model, tmp_path):
    bag = write_bag(tmp_path / "bag", 8, encoding="jpeg", corrupt=(0, 3))
    report = segment(bag, tmp_path / "out", model)
    (camera,) = report["cameras"]
    assert (camera["images"], camera["masks"], camera["skipped"]) == (8, 6, {"decode": 2})
    (note,) = report["notes"]
    assert note.startswith(f"{CAMERA}: 2 of 8 images skipped (2 decode); the first at ")
    assert (
        len(camera["skipped_examples"]) == 2 and "is not a whole JPEG or PNG" in camera["skipped_examples"][0]
    )
    logs = [log_ns for log_ns, _ in read_bag(tmp_path / "out")["/dcfm/mask"]]
    assert logs == [START_NS + index * PERIOD_NS + LOG_DELAY_NS for index in (1, 2, 4, 5, 6, 7)]
    assert read_bag(tmp_path / "out")["/dcfm/palette"][0][0] == logs[0]


def test_no_image_that_can_be_used(model, tmp_path):
    bag = write_bag(tmp_path / "bag", 4, encoding="jpeg", corrupt=range(4))
    with pytest.raises(BagError, match="none of the 4 images can be used; at .*is not a whole JPEG"):
        segment(bag, tmp_path / "out", model)
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


@pytest.mark.slow
def test_a_camera_that_cannot_be_used_leaves_the_others_alone(model, tmp_path):
    bag = spoiled(write_bag(tmp_path / "bag", 8, CAMERAS), tmp_path / "spoiled", "/rear/image_raw")
    report = segment(bag, tmp_path / "out", model)
    (note,) = report["notes"]
    assert note.startswith("/rear/image_raw: 8 of 8 images skipped (8 message); the first at ")
    assert "a message of 4 bytes on /rear/image_raw is not a sensor_msgs/msg/Image in ROS 2" in note
    out = read_bag(tmp_path / "out")
    assert (len(out["/dcfm/front/mask"]), len(out["/dcfm/rear/mask"])) == (8, 0)
    with pytest.raises(
        BagError, match="none of the 8 images can be used; at .*is not a sensor_msgs/msg/Image"
    ):
        segment(bag, tmp_path / "rear", model, topics=("/rear/image_raw",), all_topics=True)
    assert not [*tmp_path.glob("rear*")]


@pytest.mark.slow
@pytest.mark.parametrize("all_topics", [False, True])
def test_a_camera_without_images(model, tmp_path, monkeypatch, all_topics):
    """What metadata.yaml promises need not be there."""
    bag = write_bag(tmp_path / "bag", 4, extra=("/chatter",))
    with open_bag(bag) as recording:
        (topic,) = (topic for topic in recording.topics if topic.name == CAMERA)
    monkeypatch.setattr(
        "dcfm_ros.bags.segment.choose_cameras", lambda *_: [CameraTopic("", replace(topic, name="/gone"))]
    )
    with pytest.raises(BagError, match="bag holds no images on /gone: give another --topic"):
        segment(bag, tmp_path / "out", model, all_topics=all_topics)
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_a_recording_without_parts_is_never_finished(tmp_path):
    with pytest.raises(BagError, match="nothing was written"):
        Parts(tmp_path, "out", [], "mcap", "zstd").finish()
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_other_sizes_and_stamps_that_run_back_begin_anew(model, tmp_path):
    bag = write_bag(
        tmp_path / "bag",
        12,
        sizes={4: (48, 64)},
        stamps={8: 0, 9: PERIOD_NS, 10: PERIOD_NS, 11: 2 * PERIOD_NS},
    )
    report = segment(bag, tmp_path / "out", model)
    (camera,) = report["cameras"]
    assert camera["sizes"] == [[96, 64], [64, 48]]
    assert (camera["resets"], camera["out_of_order"], camera["equal_stamps"], camera["masks"]) == (
        2,
        1,
        1,
        12,
    )
    assert {(m.height, m.width) for _, m in read_bag(tmp_path / "out")["/dcfm/mask"]} == {(64, 96), (48, 64)}
    assert camera["keyframe_reasons"]["reset"] == 2


@pytest.mark.slow
def test_what_is_whole_of_a_cut_recording(model, tmp_path):
    bag = write_bag(
        tmp_path / "bag",
        120,
        pictures=[np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)] * 120,
    )
    cut = cut_file(bag / "bag.mcap", 0.7)
    report = segment(cut, tmp_path / "out", model)
    masks = report["cameras"][0]["masks"]
    assert 40 < masks < 90 and len(read_bag(tmp_path / "out")["/dcfm/mask"]) == masks
    assert "truncated" in report["notes"][0]


@pytest.mark.slow
def test_log_times_that_the_output_cannot_hold(model, tmp_path):
    bag = write_bag(tmp_path / "bag", 4, storage="sqlite3", start_ns=-(10**12))
    with pytest.raises(
        BagError, match="has log time -[0-9]* ns, which mcap cannot hold: give --storage sqlite3"
    ):
        segment(bag, tmp_path / "out", model)
    report = segment(bag, tmp_path / "out2", model, storage="sqlite3")
    assert report["cameras"][0]["masks"] == 4


# Original messages


@pytest.mark.slow
@pytest.mark.parametrize("storage, out_storage", [("mcap", "mcap"), ("sqlite3", "mcap"), ("mcap", "sqlite3")])
def test_original_messages_are_copied_as_they_are(model, tmp_path, storage, out_storage):
    bag = write_bag(
        tmp_path / "bag", 10, CAMERAS, storage=storage, extra=("/chatter", "/other"), corrupt=(3,)
    )
    report = segment(bag, tmp_path / "out", model, all_topics=True, storage=out_storage)
    assert report["left_out"] == {}
    with open_bag(bag) as original, open_bag(tmp_path / "out") as copy:
        before, after = ({topic.name: topic for topic in one.topics} for one in (original, copy))
        assert {*after} == {*before} | {
            f"/dcfm/{camera}/{name}" for camera in ("front", "rear") for name in OURS
        }
        for name, topic in before.items():
            mine = after[name]
            assert replace(mine, digest="") == replace(topic, digest="")
            assert [*map(tail, original.messages([topic]))] == [*map(tail, copy.messages([mine]))]
        every = [*copy.messages()]
        assert [log_ns for _, log_ns, _ in every] == sorted(log_ns for _, log_ns, _ in every)
        assert len(every) == sum(report["topics"].values())


def tail(message):
    _, log_ns, raw = message
    return log_ns, bytes(raw)


@pytest.mark.slow
@pytest.mark.parametrize("bare", [False, True])
def test_types_of_others_come_with_their_definition_and_qos(model, tmp_path, bare):
    """A recording's file alone does not tell type hashes; they follow from the definitions."""
    bag = write_bag(tmp_path / "bag", 4)
    mine = "my_msgs/msg/Mine"
    line = "=" * 80
    definition = (
        f"std_msgs/Header header\nint32 value\n{line}\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\n"
        f"string frame_id\n{line}\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
    )
    qos = CameraOutputs("", "", ()).palette.qos
    bag = with_more(
        bag,
        tmp_path / "more",
        ("/mine", mine, definition, "RIHS01_" + "1" * 64, qos),
        ("/unknown", "my_msgs/msg/Unknown", "", "RIHS01_" + "2" * 64, ()),
        ("/broken", "my_msgs/msg/Broken", "no definition { at all", "RIHS01_" + "3" * 64, ()),
    )
    report = segment(bag / "more.mcap" if bare else bag, tmp_path / "out", model, all_topics=True)
    with open_bag(tmp_path / "out") as copy:
        topics = {topic.name: topic for topic in copy.topics}
    assert (topics["/mine"].definition, topics["/mine"].qos, topics["/mine"].count) == (definition, qos, 1)
    assert (
        topics["/mine"].digest.startswith("RIHS01_")
        and (topics["/mine"].digest == "RIHS01_" + "1" * 64) is not bare
    )
    assert "/unknown" not in topics
    assert "my_msgs/msg/Unknown is neither in the recording nor known here" in report["left_out"]["/unknown"]
    assert ("/broken" in topics) is not bare
    if bare:
        assert (
            "the definition of my_msgs/msg/Broken in the recording cannot be understood"
            in report["left_out"]["/broken"]
        )


def test_another_type_of_the_same_name_is_left_out(model, tmp_path):
    bag = with_more(
        write_bag(tmp_path / "bag", 4),
        tmp_path / "more",
        ("/robot/info", MASK_INFO, "int32 old\n", "RIHS01_" + "4" * 64, ()),
        ("/dcfm/mask", IMAGE, None, None, ()),
    )
    report = segment(bag, tmp_path / "out", model, all_topics=True)
    assert report["left_out"] == {
        "/robot/info": f"its {MASK_INFO} is not that of other topics of the output",
        "/dcfm/mask": "the new masks are written to a topic of this name",
    }
    assert report["topics"]["/dcfm/mask"] == 4


def spoiled(bag, folder, name):
    """A copy of a recording in which no message of one topic can be decoded."""
    with open_bag(bag) as original, Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        copies = {
            topic.name: writer.add_connection(topic.name, topic.msgtype, typestore=typestore())
            for topic in original.topics
        }
        for topic, log_ns, raw in original.messages():
            writer.write(copies[topic.name], log_ns, b"\0\1\0\0" if topic.name == name else raw)
    return folder


def with_more(bag, folder, *topics):
    """A copy of a recording with a message on each of more topics: (name, type, definition, digest, qos)."""
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    with open_bag(bag) as original, writer:
        (images,) = (
            writer.add_connection(topic.name, topic.msgtype, typestore=typestore())
            for topic in original.topics
        )
        for _, log_ns, raw in original.messages():
            writer.write(images, log_ns, raw)
        for name, msgtype, definition, digest, qos in topics:
            known = (
                {"typestore": typestore()} if definition is None else {"msgdef": definition, "rihs01": digest}
            )
            writer.write(
                writer.add_connection(name, msgtype, offered_qos_profiles=qos, **known), START_NS, b"\0\1\0\0"
            )
    return folder


# Options and places


@pytest.mark.parametrize(
    "changes, text",
    [
        (
            dict(mode="async"),
            "mode 'async': use sync or two_sided; to see mode async play the recording to the live node",
        )
    ],
)
def test_options_that_cannot_be_used(changes, text):
    with pytest.raises(ValueError, match=text):
        BagSegmentOptions("bag", "out", **changes)


def test_an_output_that_is_there(bag, model, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(BagError, match=f"{tmp_path}/out exists already: remove it, or give another output"):
        segment(bag, tmp_path / "out", model)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folders_above_the_output_are_made_and_none_is_left_after_a_failure(bag, model, tmp_path):
    with pytest.raises(ModelError, match="no_such_model"):
        segment(bag, tmp_path / "a" / "b" / "out", "no_such_model")
    assert not list(tmp_path.iterdir())
    with UnfinishedOutput(tmp_path / "a" / "b" / "out") as output:
        (output.folder / "state.json").write_text("{}")
        output.conclude()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["out"]


def test_places_that_cannot_be_written_to(bag, model, tmp_path, monkeypatch):
    with pytest.raises(BagError, match=r"cannot write to /proc/out.partial \(.*\): give another output"):
        segment(bag, "/proc/out", model)
    with pytest.raises(BagError, match=f"{bag}/out lies in the recording {bag}: give another output"):
        segment(bag, bag / "out", model)
    monkeypatch.setattr("os.access", lambda *_: False)  # tests may run as root, who may write anywhere
    with pytest.raises(
        BagError, match=r"cannot write to .*out.partial \(Permission denied\): give another output"
    ):
        segment(bag, tmp_path / "out", model)


@pytest.mark.slow
def test_command(bag, model, made, tmp_path, capsys):
    arguments = [
        "bag",
        "segment",
        str(bag),
        "-o",
        str(tmp_path / "out"),
        "--model",
        str(model),
        "--backend",
        "torch",
        "--precision",
        "f32",
        "--all",
        "--storage",
        "sqlite3",
        "--topic",
        "/camera/image_raw",
    ]
    assert cli.main([*arguments, "--json", str(tmp_path / "report.json")]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["topics"]["/camera/image_raw"] == FRAMES
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{bag}: {model} (torch on cpu, f32), mode sync") and len(lines) < 12
    camera = next(line.split() for line in lines if line.startswith("/camera/image_raw "))
    assert camera == ["/camera/image_raw", str(FRAMES), "0", str(FRAMES), camera[4], "/dcfm/mask"]
    assert lines[-2:] == [
        f"written    {tmp_path / 'out'}, {tmp_path / 'report.json'}",
        f"next: open it in Foxglove, or `ros2 bag play {tmp_path / 'out'}`",
    ]
    assert content(tmp_path / "out")["/dcfm/mask"] == content(made[1])["/dcfm/mask"]
    assert cli.main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def test_types_that_are_written_are_the_packages():
    outputs = CameraOutputs("front", "m", CLASSES)
    assert [topic.name for topic in outputs.topics] == [f"/dcfm/front/{name}" for name in OURS]
    for topic in outputs.topics:
        assert topic.digest == typestore().hash_rihs01(topic.msgtype)
    assert "string class_name" in outputs.label_info.definition and outputs.label_info.msgtype == LABEL_INFO


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(identity="drive"),
        lambda state: state.update(copied="9"),
        lambda state: state.update(cameras=[]),
        lambda state: state["cameras"]["front"].update(mask="7"),
        lambda state: state["cameras"]["front"].update(keyframes=5),
        lambda state: state["cameras"]["front"]["record"].update(images=[]),
        lambda state: state["cameras"]["front"]["record"].update(skipped={"message": "x"}),
        lambda state: state["cameras"]["front"]["record"].update(sizes=[[1, None]]),
    ],
)
def test_a_state_of_other_types_is_refused(tmp_path, change):
    folder = tmp_path / "out.partial"
    folder.mkdir()
    plain = json.loads(json.dumps(Progress({"bag": "drive"}, {"front": CameraProgress()}), default=vars))
    output = UnfinishedOutput(tmp_path / "out")
    (folder / STATE_FILE).write_text(json.dumps(plain))
    assert output.load() == Progress({"bag": "drive"}, {"front": CameraProgress()})
    change(plain)
    (folder / STATE_FILE).write_text(json.dumps(plain))
    with pytest.raises(BagError, match="state.json cannot be read .*: remove .*out.partial to start over"):
        output.load()
