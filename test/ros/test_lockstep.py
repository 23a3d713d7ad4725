# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node plays a recording in lock-step: what the live segmenter makes of it, and images without a
mask."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from bags_helpers import CAMERA, START_NS, write_bag
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from playing_helpers import ALL, begin, node_of, play
from ros_helpers import DEFAULTS, pixels
from sensor_msgs.msg import Image

from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.replay import Replay
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.model.folder import load_model
from dcfm_ros.msg import KeyframeEvent, MaskInfo
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig
from dcfm_ros.pipeline.telemetry import ENDS
from dcfm_ros.ros import lockstep
from dcfm_ros.stamps import stamp_ns

SCHEDULER = dict(min_interval=2, max_interval=4, threshold=0.2, cut_threshold=0.6)
OWN = dict(image_topic="/own/image", mask_topic="/own/mask")  # which no segmenter of other tests knows


class Live:
    """The segmenter's messages for one camera."""

    def __init__(self, probe, prefix="/dcfm"):
        self.masks = probe.collect(Image, f"{prefix}/mask", ALL)
        self.infos = probe.collect(MaskInfo, f"{prefix}/mask_info", ALL)
        self.keyframes = probe.collect(KeyframeEvent, f"{prefix}/keyframe", ALL)

    def has(self, count: int) -> bool:
        return len(self.masks) >= count and len(self.infos) >= count

    def results(self, count: int):
        """(stamp, mask, is keyframe, score) of the first so many masks."""
        return [
            (stamp_ns(mask.header.stamp), pixels(mask).tobytes(), info.is_keyframe, info.score)
            for mask, info in zip(self.masks[:count], self.infos[:count])
        ]

    def events(self):
        return [
            (stamp_ns(event.header.stamp), event.reason, event.score, event.interval_frames)
            for event in self.keyframes
        ]


def offline(bag, model, **scheduler):
    """Same as `Live.results` and `Live.events`, by camera, from the replay without ROS."""
    masks, events = {}, {}
    with open_bag(bag) as recording:
        config = PipelineConfig(Mode.SYNC, SchedulerConfig(**scheduler))

        def on_keyframe(event):
            events.setdefault(event.frame.camera, []).append(
                (event.frame.stamp_ns, event.reason.value, np.float32(event.score), event.interval_frames)
            )

        with Replay(
            recording,
            choose_cameras(recording),
            load_model(str(model)),
            "torch",
            config=config,
            on_keyframe=on_keyframe,
        ) as replay:
            for result in replay.run():
                if hasattr(result, "mask"):
                    masks.setdefault(result.frame.camera, []).append(
                        (
                            result.frame.stamp_ns,
                            result.mask.tobytes(),
                            result.is_keyframe,
                            np.float32(result.score),
                        )
                    )
    return masks, events


@pytest.mark.slow
@pytest.mark.parametrize("encoding, clock", [("rgb8", True), ("jpeg", False)])
def test_masks_and_keyframes_are_those_of_the_replay(segmenter, model, probe, tmp_path, encoding, clock):
    topic = f"{CAMERA}/compressed" if encoding == "jpeg" else CAMERA
    bag = write_bag(
        tmp_path / "drive", 30, (topic,), encoding=encoding, cut=11, stamps={17: 0}, sizes={22: (48, 80)}
    )
    segmenter.start(mode="sync", image_topic=topic, **SCHEDULER)
    live = Live(probe)
    node = play(probe, bag, lambda: live.has(30), live=[topic], lockstep=True, clock=clock)
    assert not node.failed and (node.player.sent, node.player.without_mask) == (30, 0)
    masks, events = offline(bag, model, **SCHEDULER)
    assert live.results(len(live.masks)) == masks[""]
    probe.spin_until(lambda: len(live.keyframes) >= len(events[""]), "all keyframe events")
    assert live.events() == events[""]
    # the jump of stamps, the other size
    assert {"first", "reset"} < {reason for _, reason, *_ in live.events()}
    assert 2 < len(live.keyframes) < 30 and len({mask for _, mask, *_ in masks[""]}) > 10


@pytest.mark.slow
def test_two_cameras_in_lock_step(segmenter, processes, model, probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 10, ("/front/image_raw", "/rear/image_raw"), cut=4)
    settings = [
        f"{name}:={value}"
        for name, value in {**DEFAULTS, **SCHEDULER, "mode": "sync", "model": model}.items()
        if value not in ("", [""]) and name not in ("image_topic", "image_transport", "outputs")
    ]
    processes(
        "segmenter",
        "-r",
        "__ns:=/two",
        "-p",
        "cameras:=[front, rear]",
        "-p",
        "front.image_topic:=/front/image_raw",
        "-p",
        "rear.image_topic:=/rear/image_raw",
        *(item for setting in settings for item in ("-p", setting)),
    )
    cameras = {name: Live(probe, f"/two/{name}") for name in ("front", "rear")}
    node = play(
        probe,
        bag,
        lambda: all(live.has(10) for live in cameras.values()),
        live=["/front/image_raw", "/rear/image_raw"],
        segmenter="/two/segmenter",
        lockstep=True,
        mask_topic="/two/{camera}/mask",
    )
    assert (node.player.sent, node.player.without_mask) == (20, 0)
    masks, events = offline(bag, model, **SCHEDULER)
    for name, live in cameras.items():
        assert live.results(len(live.masks)) == masks[name]
        probe.spin_until(lambda: len(live.keyframes) >= len(events[name]), "all keyframe events")
        assert live.events() == events[name]


@pytest.mark.slow
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
        # not the first after two: one made between a reset and its keyframe says that it waits for that
        probe.diagnostic(CAMERA, lambda status: status.number("resets") >= 2 and "masks/s" in status.message)
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.spin_until(
            lambda: any(0 <= stamp_ns(report.header.stamp) - START_NS < 10**9 for report in reports),
            "a report with the recording's time",
        )
    finally:
        probe.remove(node)
        node.destroy_node()
        assert probe.set(use_sim_time=False) == ""
    results = live.results(rounds * count)
    first = results[:count]
    assert results == first * rounds
    probe.spin_until(
        lambda: [reason for _, reason, *_ in live.events()].count("reset") >= rounds - 1,
        "the later rounds' first keyframes",
    )
    by_round = []
    for event in live.events():
        if event[0] == first[0][0]:
            by_round.append([])
        by_round[-1].append(event)
    assert [events[0][1] for events in by_round[:rounds]] == ["first", "reset", "reset"]
    assert len(by_round[0]) > 2 and by_round[0][1:] == by_round[1][1:]


@pytest.mark.slow
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


@pytest.mark.slow
def test_without_diagnostics_there_is_the_timeout(probe, tmp_path, monkeypatch):
    """The probe is the segmenter; it answers all but the second and the fourth image, the fourth with another
    stamp.

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


@pytest.mark.slow
def test_what_is_under_way_is_waited_for(probe, tmp_path):
    """Reports in which an image is under way, or of another topic, do not end the wait; a single idle one
    neither."""
    bag = write_bag(tmp_path / "drive", 2)
    masks = probe.publisher(Image, OWN["mask_topic"], reliable=True)
    reports = probe.publisher(DiagnosticArray, "/diagnostics", reliable=True)
    images = probe.collect(Image, OWN["image_topic"], ALL)

    def report(topic=OWN["image_topic"], received=1, **counts):
        counts = {"received": received, "masks": 0, "dropped": 0, "failures": 0, **counts}
        reports.publish(
            DiagnosticArray(
                status=[
                    DiagnosticStatus(
                        name="segmenter: camera",
                        hardware_id=topic,
                        values=[KeyValue(key=key, value=str(value)) for key, value in counts.items()],
                    )
                ]
            )
        )

    heard = probe.collect(DiagnosticArray, "/diagnostics", ALL)
    node = node_of(probe, bag, lockstep=True, mask_timeout=1000.0, **OWN)
    probe.add(node)
    try:
        probe.spin_until(
            lambda: len(images) == 1 and reports.get_subscription_count() >= 1, "the first image"
        )
        for counts in (
            dict(refused_decode=1),
            {},
            dict(failures=1),
            dict(topic="/else", failures=1),
            {},
            {},
            dict(dropped=1),
        ):
            report(**counts)
        ours = (OWN["image_topic"], "/else")  # a segmenter of other tests reports, too
        probe.spin_until(
            lambda: sum(array.status[0].hardware_id in ours for array in heard) == 7, "the reports"
        )
        masks.publish(Image(header=images[0].header))
        probe.spin_until(lambda: len(images) == 2, "the second image")
        for _ in range(2):
            report(received=2, masks=1, refused_size=1)
        probe.spin_until(node.finished.is_set, "the end")
    finally:
        probe.remove(node)
        node.destroy_node()
    assert not node.failed and node.player.without_mask == 1


@pytest.mark.parametrize("ended", [*ENDS[1:], "refused_size"])
def test_an_image_that_ended_without_a_mask_is_not_waited_for(ended):
    """Whatever the reason; by the second report that says so."""
    heard = {}
    node = SimpleNamespace(
        resolve_topic_name=lambda name: name,
        create_subscription=lambda kind, topic, received, depth: heard.update({topic: received}),
    )
    waiting = lockstep.LockStep(node, "/image", "/mask", timeout_s=1000.0)
    waiting.expect(Time(sec=1))
    counts = {"received": 1, "masks": 0, "dropped": 0, "failures": 0, ended: 1}
    values = [KeyValue(key=key, value=str(value)) for key, value in counts.items()]
    status = DiagnosticStatus(name="segmenter: camera", hardware_id="/image", values=values)
    for _ in range(2):
        heard["/diagnostics"](DiagnosticArray(status=[status]))
    assert waiting.wait(threading.Event()).startswith("the segmenter has no image in progress")


@pytest.mark.slow
def test_who_is_missing_is_told(probe, processes, tmp_path):
    bag = write_bag(tmp_path / "drive", 2, ("/front/image_raw", "/rear/image_raw"))
    probe.collect(Image, "/front/image_raw", ALL)
    probe.publisher(Image, "/dcfm/rear/mask")
    camera = processes("camera", "-p", f"source:={bag}", "-p", "lockstep:=true")
    camera.wait_for_text("waiting for 1 subscribers of /rear/image_raw and a publisher of /dcfm/front/mask\n")
    assert camera.stop() == 0


@pytest.mark.slow
def test_it_ends_while_it_waits_for_a_mask(probe, processes, tmp_path):
    bag = write_bag(tmp_path / "drive", 3)
    probe.publisher(Image, OWN["mask_topic"], reliable=True)
    images = probe.collect(Image, OWN["image_topic"], ALL)
    camera = processes(
        "camera",
        "-p",
        f"source:={bag}",
        "-p",
        "lockstep:=true",
        *(part for name, topic in OWN.items() for part in ("-p", f"{name}:={topic}")),
    )
    probe.spin_until(lambda: images, "the first image")
    assert camera.stop() == 0 and "Traceback" not in camera.text(), camera.text()
    assert len(images) == 1
