"""The camera node plays a recording: what arrives, when, and what the live segmenter makes of it."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from bags_helpers import CAMERA, LOG_DELAY_NS, PERIOD_NS, START_NS, cut_file, read_bag, write_bag
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros_helpers import DEFAULTS, NODE, pixels
from rosbags.rosbag2 import StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.replay import Replay
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.bags.types import IMAGE, typestore
from dcfm_ros.model.folder import load_model
from dcfm_ros.msg import KeyframeEvent, MaskInfo
from dcfm_ros.pipeline.frames import Mode, PipelineConfig, SchedulerConfig
from dcfm_ros.ros import lockstep
from dcfm_ros.ros.bag_time import BagTime
from dcfm_ros.ros.camera_node import CameraNode
from dcfm_ros.ros.messages import stamp_ns
from dcfm_ros.ros.play_options import is_recording

COUNT = 12
SCHEDULER = dict(min_interval=2, max_interval=4, threshold=0.2, cut_threshold=0.6)
ALL = QoSProfile(depth=1000)   # of what a test counts
OWN = dict(image_topic="/own/image", mask_topic="/own/mask")   # which no segmenter of other tests knows


def node_of(probe, source, **values) -> CameraNode:
    values = {"source": str(source), "reliable": True, "wait_for_subscribers": 1, "loop": False, **values}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return CameraNode(context=probe.context, parameter_overrides=overrides)


def play(probe, source, until=lambda: True, live=(), segmenter=NODE, **values) -> CameraNode:
    """Play a recording to what has subscribed, until its end and until what it brings is there; the node is closed then.

    live: topics to which the segmenter has subscribed: see `begin`.
    """
    node = begin(probe, source, live, segmenter, **values) if live else node_of(probe, source, **values)
    probe.add(node)
    try:
        probe.spin_until(lambda: node.finished.is_set() and until(), f"the end of {source}")
    finally:
        probe.remove(node)
        node.destroy_node()
    return node


def begin(probe, source, live, segmenter=NODE, **values) -> CameraNode:
    """The first image goes out when the segmenter knows of a publisher on each of these topics, and of all who want its masks:
    it listens best effort, so what comes before would be lost. The node waits for a second subscriber, which comes then."""
    node = node_of(probe, source, wait_for_subscribers=2, **values)
    try:
        for topic in live:
            probe.diagnostic(topic, lambda status: status.message.startswith("no image yet"))
        probe.meet(segmenter)
        for topic in live:
            probe.collect(CompressedImage if topic.endswith("/compressed") else Image, topic)
    except BaseException:
        node.destroy_node()
        raise
    return node


def fields_of(message) -> tuple:
    """What two classes of an image message have in common."""
    header = (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id)
    if hasattr(message, "format"):
        return *header, message.format, bytes(message.data)
    return *header, message.width, message.height, message.step, message.encoding, message.is_bigendian, bytes(message.data)


def times(clocks) -> list[int]:
    return [stamp_ns(clock.clock) for clock in clocks]


# What arrives


@pytest.mark.parametrize("storage, encoding", [("mcap", "rgb8"), ("sqlite3", "mono8"), ("mcap", "jpeg")])
def test_images_arrive_as_they_were_recorded(probe, tmp_path, storage, encoding):
    topic = f"{CAMERA}/compressed" if encoding == "jpeg" else CAMERA
    bag = write_bag(tmp_path / "drive", COUNT, (topic,), storage, encoding=encoding, corrupt=[3], stamps={5: 0, 6: 0})
    log = tmp_path / "sent.jsonl"
    images = probe.collect(CompressedImage if encoding == "jpeg" else Image, topic, ALL)
    node = play(probe, bag, lambda: len(images) == COUNT, speed=20.0, sent_log=str(log))
    assert not node.failed
    recorded = [message for _, message in read_bag(bag)[topic]]
    assert [fields_of(image) for image in images] == [fields_of(message) for message in recorded]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["index"] for entry in entries] == list(range(COUNT))
    assert [entry["stamp_ns"] for entry in entries] == [stamp_ns(image.header.stamp) for image in images]
    assert (np.diff([entry["published_ns"] for entry in entries]) > 0).all()


def test_two_cameras_keep_their_topics_and_their_order(probe, tmp_path):
    topics = "/front/image_raw", "/rear/image_raw"
    bag = write_bag(tmp_path / "drive", COUNT, topics, labels="/front/label", extra=["/chatter"])
    arrived = []
    for topic in topics:
        probe.node.create_subscription(Image, topic, lambda image, topic=topic: arrived.append((topic, image)), ALL)
    play(probe, bag, lambda: len(arrived) == 2 * COUNT, topics=list(topics), speed=20.0)
    for topic in topics:
        images = [image for where, image in arrived if where == topic]
        assert [fields_of(image) for image in images] == [fields_of(message) for _, message in read_bag(bag)[topic]]


def test_one_camera_of_several_goes_to_another_topic(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", COUNT, ("/front/image_raw", "/rear/image_raw"))
    images, others = probe.collect(Image, "/elsewhere", ALL), probe.collect(Image, "/front/image_raw", ALL)
    play(probe, bag, lambda: len(images) == 4, topics=["/rear/image_raw"], image_topic="/elsewhere", frames=4, speed=20.0)
    assert {image.header.frame_id for image in images} == {"camera_1"} and not others


def test_compressed_images_go_to_a_topic_that_says_so(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 3, (f"{CAMERA}/compressed",), encoding="png")
    images = probe.collect(CompressedImage, "/elsewhere/compressed", ALL)
    play(probe, bag, lambda: len(images) == 3, image_topic="/elsewhere", speed=20.0)
    assert all("png" in image.format for image in images)


def test_a_cut_recording_is_played_as_far_as_it_is_whole(probe, processes, tmp_path):
    bag = write_bag(tmp_path / "drive", 100)   # several chunks
    cut_file(bag / "drive.mcap", 0.8)
    images, log = probe.collect(Image, CAMERA, ALL), tmp_path / "sent.jsonl"
    camera = processes("camera", "-p", f"source:={bag}", "-p", "loop:=false", "-p", "wait_for_subscribers:=1",
                       "-p", "speed:=50.0", "-p", "reliable:=true", "-p", f"sent_log:={log}")
    probe.spin_until(lambda: not camera.running(), "the end of the camera")
    assert camera.wait() == 0 and "cut off" in camera.text() and "Traceback" not in camera.text(), camera.text()
    sent = [json.loads(line)["stamp_ns"] for line in log.read_text().splitlines()]
    assert 10 < len(sent) < 100
    # Its publisher keeps the last ones until they have arrived; of those before, a slow listener may miss some.
    probe.spin_until(lambda: images and stamp_ns(images[-1].header.stamp) == sent[-1], "the last image")
    assert {stamp_ns(image.header.stamp) for image in images} <= set(sent)


# When


@pytest.fixture
def begun(monkeypatch):
    """When the player asked for the time of each image. From the first of these its pace counts: an image that is late by
    itself is followed by early ones."""
    asked_ns, reach = [], BagTime.reach

    def asking(*arguments):
        asked_ns.append(time.monotonic_ns())
        return reach(*arguments)

    monkeypatch.setattr(BagTime, "reach", asking)
    return asked_ns


@pytest.mark.parametrize("speed", [4.0, 0.5])
def test_speed_and_clock(begun, probe, tmp_path, speed):
    """To the millisecond in test_bag_time; here with real clocks, on a machine that may be busy."""
    count = 8
    bag = write_bag(tmp_path / "drive", count)
    images, clocks, log = probe.collect(Image, CAMERA, ALL), probe.collect(Clock, "/clock", ALL), tmp_path / "sent.jsonl"
    last_ns = START_NS + LOG_DELAY_NS + (count - 1) * PERIOD_NS
    play(probe, bag, lambda: len(images) == count and last_ns in times(clocks), speed=speed, sent_log=str(log))
    published = [json.loads(line)["published_ns"] for line in log.read_text().splitlines()]
    due_ns = (count - 1) * PERIOD_NS / speed
    assert 0.999 * due_ns < published[-1] - begun[0] < due_ns + 5e9
    told = times(clocks)
    assert (np.diff(told) > 0).all()
    assert {START_NS + LOG_DELAY_NS + number * PERIOD_NS for number in range(count)} <= set(told)
    assert max(np.diff(told)) <= 10_000_000 * max(1.0, speed)


def test_no_clock(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 3)
    images, clocks = probe.collect(Image, CAMERA, ALL), probe.collect(Clock, "/clock", ALL)
    play(probe, bag, lambda: len(images) == 3, clock=False, speed=20.0)
    assert not clocks


def test_the_end_is_followed_by_the_beginning_a_period_later(begun, probe, tmp_path):
    count, rounds = 4, 3
    bag = write_bag(tmp_path / "drive", count)
    images, clocks, log = probe.collect(Image, CAMERA, ALL), probe.collect(Clock, "/clock", ALL), tmp_path / "sent.jsonl"
    node = node_of(probe, bag, loop=True, speed=4.0, sent_log=str(log))
    try:
        probe.spin_until(lambda: len(images) >= rounds * count, "three rounds")
        probe.spin_until(lambda: (np.diff(times(clocks)) < 0).sum() >= rounds - 1, "their clock")
    finally:
        node.destroy_node()   # in the midst of a round
    assert not node.failed
    stamps = [stamp_ns(image.header.stamp) for image in images]
    assert stamps == [stamps[number % count] for number in range(len(stamps))]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["index"] for entry in entries] == [number % count for number in range(len(entries))]
    published = [entry["published_ns"] for entry in entries[:rounds * count]]
    assert published[-1] - begun[0] > 0.999 * (rounds * count - 1) * PERIOD_NS / 4.0
    backwards = [number for number, step in enumerate(np.diff(times(clocks))) if step < 0]
    told = times(clocks)
    assert len(backwards) >= rounds - 1
    assert {told[number + 1] for number in backwards} == {START_NS + LOG_DELAY_NS}
    assert {told[number] for number in backwards} == {START_NS + LOG_DELAY_NS + (count - 1) * PERIOD_NS}


# Lock-step with the live segmenter


class Live:
    """What the segmenter sends for one camera."""

    def __init__(self, probe, prefix="/dcfm"):
        self.masks = probe.collect(Image, f"{prefix}/mask", ALL)
        self.infos = probe.collect(MaskInfo, f"{prefix}/mask_info", ALL)
        self.keyframes = probe.collect(KeyframeEvent, f"{prefix}/keyframe", ALL)

    def has(self, count: int) -> bool:
        return len(self.masks) >= count and len(self.infos) >= count

    def results(self, count: int):
        """(stamp, mask, is keyframe, score) of the first so many masks."""
        return [(stamp_ns(mask.header.stamp), pixels(mask).tobytes(), info.is_keyframe, info.score)
                for mask, info in zip(self.masks[:count], self.infos[:count])]

    def events(self):
        return [(stamp_ns(event.header.stamp), event.reason, event.score, event.interval_frames) for event in self.keyframes]


def offline(bag, model, **scheduler):
    """As `Live.results` and `Live.events`, by camera, of the replay without ROS."""
    masks, events = {}, {}
    with open_bag(bag) as recording:
        config = PipelineConfig(Mode.SYNC, SchedulerConfig(**scheduler))

        def on_keyframe(event):
            events.setdefault(event.frame.camera, []).append(
                (event.frame.stamp_ns, event.reason.value, np.float32(event.score), event.interval_frames))

        with Replay(recording, choose_cameras(recording), load_model(str(model)), "torch", config=config,
                    on_keyframe=on_keyframe) as replay:
            for result in replay.run():
                if hasattr(result, "mask"):
                    masks.setdefault(result.frame.camera, []).append(
                        (result.frame.stamp_ns, result.mask.tobytes(), result.is_keyframe, np.float32(result.score)))
    return masks, events


@pytest.mark.parametrize("encoding, clock", [("rgb8", True), ("jpeg", False)])
def test_masks_and_keyframes_are_those_of_the_replay(segmenter, model, probe, tmp_path, encoding, clock):
    topic = f"{CAMERA}/compressed" if encoding == "jpeg" else CAMERA
    bag = write_bag(tmp_path / "drive", 30, (topic,), encoding=encoding, cut=11, stamps={17: 0}, sizes={22: (48, 80)})
    segmenter.start(mode="sync", image_topic=topic, **SCHEDULER)
    live = Live(probe)
    node = play(probe, bag, lambda: live.has(30), live=[topic], lockstep=True, clock=clock)
    assert not node.failed and (node.player.sent, node.player.without_mask) == (30, 0)
    masks, events = offline(bag, model, **SCHEDULER)
    assert live.results(len(live.masks)) == masks[""]
    probe.spin_until(lambda: len(live.keyframes) >= len(events[""]), "all keyframe events")
    assert live.events() == events[""]
    assert {"first", "reset"} < {reason for _, reason, *_ in live.events()}   # the jump of stamps, the other size
    assert 2 < len(live.keyframes) < 30 and len({mask for _, mask, *_ in masks[""]}) > 10


def test_two_cameras_in_lock_step(segmenter, processes, model, probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 10, ("/front/image_raw", "/rear/image_raw"), cut=4)
    settings = [f"{name}:={value}" for name, value in {**DEFAULTS, **SCHEDULER, "mode": "sync", "model": model}.items()
                if name not in ("image_topic", "compressed", "outputs")]
    processes("segmenter", "-r", "__ns:=/two", "-p", "cameras:=[front, rear]",
              *(item for setting in settings for item in ("-p", setting)))
    cameras = {name: Live(probe, f"/two/{name}") for name in ("front", "rear")}
    node = play(probe, bag, lambda: all(live.has(10) for live in cameras.values()),
                live=["/front/image_raw", "/rear/image_raw"], segmenter="/two/segmenter", lockstep=True,
                mask_topic="/two/{camera}/mask")
    assert (node.player.sent, node.player.without_mask) == (20, 0)
    masks, events = offline(bag, model, **SCHEDULER)
    for name, live in cameras.items():
        assert live.results(len(live.masks)) == masks[name]
        probe.spin_until(lambda: len(live.keyframes) >= len(events[name]), "all keyframe events")
        assert live.events() == events[name]


def test_every_round_is_like_the_first(segmenter, probe, tmp_path):
    count, rounds = 9, 3
    bag = write_bag(tmp_path / "drive", count, cut=5)
    segmenter.start(mode="sync", silence_s=2.0, **SCHEDULER)
    assert probe.set(use_sim_time=True) == ""
    live = Live(probe)
    node = begin(probe, bag, [CAMERA], loop=True, lockstep=True)
    probe.add(node)
    try:
        probe.spin_until(lambda: live.has(rounds * count), "three rounds")
        probe.diagnostic(   # not the first after two: one made between a reset and its keyframe says that it waits for that
            CAMERA, lambda status: status.number("resets") >= 2 and status.level == DiagnosticStatus.OK)
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.spin_until(lambda: any(0 <= stamp_ns(report.header.stamp) - START_NS < 10**9 for report in reports),
                         "a report with the recording's time")
    finally:
        probe.remove(node)
        node.destroy_node()
        assert probe.set(use_sim_time=False) == ""
    results = live.results(rounds * count)
    first = results[:count]
    assert results == first * rounds
    probe.spin_until(lambda: [reason for _, reason, *_ in live.events()].count("reset") >= rounds - 1,
                     "the later rounds' first keyframes")
    by_round = []
    for event in live.events():
        if event[0] == first[0][0]:
            by_round.append([])
        by_round[-1].append(event)
    assert [events[0][1] for events in by_round[:rounds]] == ["first", "reset", "reset"]
    assert len(by_round[0]) > 2 and by_round[0][1:] == by_round[1][1:]


def test_images_without_a_mask_do_not_hold_it_up(segmenter, probe, tmp_path):
    """The segmenter's diagnostics tell that none will come, long before the timeout."""
    topic = f"{CAMERA}/compressed"
    bag = write_bag(tmp_path / "drive", 6, (topic,), encoding="png", corrupt=[0, 3])
    segmenter.start(mode="sync", image_topic=topic)
    live = Live(probe)
    node = play(probe, bag, lambda: live.has(4), live=[topic], lockstep=True, mask_timeout=1000.0)
    assert not node.failed and (node.player.sent, node.player.without_mask, len(live.masks)) == (6, 2, 4)
    status = probe.diagnostic(topic, lambda status: status.number("received") == 6)
    assert status.number("refused_decode") == 2


def test_without_diagnostics_there_is_the_timeout(probe, tmp_path, monkeypatch):
    """The probe is the segmenter; it answers all but the second and the fourth image, the fourth with another stamp.

    Time passes only while one of these two is the newest: a slow answer is no late one.
    """
    bag = write_bag(tmp_path / "drive", 5)
    masks = probe.publisher(Image, OWN["mask_topic"], reliable=True)
    arrived, now_s = [], [0.0]
    monkeypatch.setattr(lockstep, "time", SimpleNamespace(monotonic=lambda: now_s[0]))

    def answer(image):
        arrived.append(image)
        if len(arrived) not in (2, 4):
            masks.publish(Image(header=image.header))
        elif len(arrived) == 4:
            masks.publish(Image())

    def ended() -> bool:
        if (len(arrived), node.player.without_mask) in ((2, 0), (4, 1)):
            now_s[0] += 20.0
        return node.finished.is_set()

    probe.node.create_subscription(Image, OWN["image_topic"], answer, ALL)
    node = node_of(probe, bag, lockstep=True, mask_timeout=30.0, **OWN)
    probe.add(node)
    try:
        probe.spin_until(ended, "the end")
    finally:
        probe.remove(node)
        node.destroy_node()
    assert not node.failed and len(arrived) == 5 and (node.player.sent, node.player.without_mask) == (5, 2)


def test_what_is_under_way_is_waited_for(probe, tmp_path):
    """Reports in which an image is under way, or of another topic, do not end the wait; a single idle one neither."""
    bag = write_bag(tmp_path / "drive", 2)
    masks = probe.publisher(Image, OWN["mask_topic"], reliable=True)
    reports = probe.publisher(DiagnosticArray, "/diagnostics", reliable=True)
    images = probe.collect(Image, OWN["image_topic"], ALL)

    def report(topic=OWN["image_topic"], received=1, **counts):
        counts = {"received": received, "masks": 0, "dropped": 0, "failures": 0, **counts}
        reports.publish(DiagnosticArray(status=[DiagnosticStatus(
            name="segmenter: camera", hardware_id=topic,
            values=[KeyValue(key=key, value=str(value)) for key, value in counts.items()])]))

    heard = probe.collect(DiagnosticArray, "/diagnostics", ALL)
    node = node_of(probe, bag, lockstep=True, mask_timeout=1000.0, **OWN)
    probe.add(node)
    try:
        probe.spin_until(lambda: len(images) == 1 and reports.get_subscription_count() >= 1, "the first image")
        for counts in (dict(refused_decode=1), {}, dict(failures=1), dict(topic="/else", failures=1), {}, {},
                       dict(dropped=1)):
            report(**counts)
        ours = (OWN["image_topic"], "/else")   # a segmenter of other tests reports, too
        probe.spin_until(lambda: sum(array.status[0].hardware_id in ours for array in heard) == 7, "the reports")
        masks.publish(Image(header=images[0].header))
        probe.spin_until(lambda: len(images) == 2, "the second image")
        for _ in range(2):
            report(received=2, masks=1, refused_size=1)
        probe.spin_until(node.finished.is_set, "the end")
    finally:
        probe.remove(node)
        node.destroy_node()
    assert not node.failed and node.player.without_mask == 1


def test_who_is_missing_is_told(probe, processes, tmp_path):
    bag = write_bag(tmp_path / "drive", 2, ("/front/image_raw", "/rear/image_raw"))
    probe.collect(Image, "/front/image_raw", ALL)
    probe.publisher(Image, "/dcfm/rear/mask")
    camera = processes("camera", "-p", f"source:={bag}", "-p", "lockstep:=true", "-p", "reliable:=true")
    camera.wait_for_text("waiting for 1 subscribers of /rear/image_raw and a publisher of /dcfm/front/mask\n")
    assert camera.stop() == 0


def test_it_ends_while_it_waits_for_a_mask(probe, processes, tmp_path):
    bag = write_bag(tmp_path / "drive", 3)
    probe.publisher(Image, OWN["mask_topic"], reliable=True)
    images = probe.collect(Image, OWN["image_topic"], ALL)
    camera = processes("camera", "-p", f"source:={bag}", "-p", "lockstep:=true", "-p", "reliable:=true",
                       *(part for name, topic in OWN.items() for part in ("-p", f"{name}:={topic}")))
    probe.spin_until(lambda: images, "the first image")
    assert camera.stop() == 0 and "Traceback" not in camera.text(), camera.text()
    assert len(images) == 1


# What cannot be played


UNUSABLE = [
    (dict(source="no/such.mcap"), ["no/such.mcap", "give a folder with metadata.yaml"]),
    (dict(topics=["/none"]), ["/none", CAMERA]),
    (dict(topics=["/chatter"]), ["/chatter", "std_msgs/msg/String", CAMERA]),
    (dict(rate=30.0), ["rate is 30.0", "a recording", "leave it out"]),
    (dict(encoding="jpeg"), ["encoding is 'jpeg'", "a recording", "leave it out"]),
    (dict(speed=0.0), ["speed", "0.0", "range"]),
    (dict(source="synthetic", lockstep=True), ["lockstep is True", "synthetic", "no recording", "leave it out"]),
    (dict(source="synthetic", topics=["/x"]), ["topics is ('/x',)", "synthetic", "leave it out"]),
]


@pytest.mark.parametrize("changes, words", UNUSABLE)
def test_settings_that_cannot_be_used_are_named(probe, tmp_path, changes, words):
    bag = write_bag(tmp_path / "drive", 2, extra=["/chatter"])
    with pytest.raises(Exception) as caught:
        node_of(probe, **{"source": bag, **changes})
    assert all(word in str(caught.value) for word in words), caught.value


def test_several_cameras_need_topics_for_several(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 2, ("/front/image_raw", "/rear/image_raw"))
    with pytest.raises(ValueError, match="image_topic /x is for one camera, and .* has 2, /front/image_raw, /rear/image_r"):
        node_of(probe, bag, image_topic="/x")
    with pytest.raises(ValueError, match="mask_topic /x is for one camera, and .* has front, rear: write {camera} where"):
        node_of(probe, bag, lockstep=True, mask_topic="/x")


def test_topics_that_ros_cannot_have(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 2, ("/my camera/image",))
    with pytest.raises(ValueError, match="drive: .*/my camera/image.*; choose a camera with `topics` and its topic"):
        node_of(probe, bag)
    images = probe.collect(Image, "/mine", ALL)
    play(probe, bag, lambda: len(images) == 2, image_topic="/mine")


def test_bytes_that_are_no_message_are_left_out(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 1)
    with Writer(tmp_path / "damaged", version=9, storage_plugin=StoragePlugin.MCAP) as writer, open_bag(bag) as whole:
        camera = writer.add_connection(CAMERA, IMAGE, typestore=typestore())
        (_, log_ns, raw), = whole.messages()
        for number, message in enumerate((raw[:30], raw, b"", b"\xff" * 50)):
            writer.write(camera, log_ns + number, message)
    images = probe.collect(Image, CAMERA, ALL)
    node = play(probe, tmp_path / "damaged", lambda: len(images) == 1, lockstep=False)
    assert not node.failed and (node.player.sent, node.player.damaged) == (1, 3)


def test_a_recording_without_any_message_is_no_endless_loop(probe, tmp_path):
    with Writer(tmp_path / "damaged", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.write(writer.add_connection(CAMERA, IMAGE, typestore=typestore()), START_NS, b"\xff" * 50)
    node = play(probe, tmp_path / "damaged", loop=True, wait_for_subscribers=0)
    assert node.failed and node.player.damaged == 1


def test_a_bad_recording_ends_the_process_with_a_message(processes, tmp_path):
    (tmp_path / "bad.mcap").write_bytes(b"no recording at all")
    camera = processes("camera", "-p", f"source:={tmp_path / 'bad.mcap'}")
    assert camera.wait() == 1
    assert "bad.mcap" in camera.text() and "Traceback" not in camera.text(), camera.text()


def test_what_is_a_recording(tmp_path):
    assert is_recording(str(write_bag(tmp_path / "drive", 1))) and is_recording("gone.mcap") and is_recording("old.bag")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "0.png").touch()
    assert not is_recording(str(tmp_path / "pictures")) and not is_recording("synthetic:3") and not is_recording("drive.mp4")
    (tmp_path / "drive" / "metadata.yaml").unlink()
    assert is_recording(str(tmp_path / "drive"))
