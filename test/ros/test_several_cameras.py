# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two cameras of different size and kind through one node, set up by a parameters file as users write it."""

import pytest
from ros_helpers import Camera, check_mask
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger


@pytest.fixture
def two(processes, model, probe, tmp_path):
    settings = tmp_path / "two.yaml"
    settings.write_text(f"""
/pair/dcfm/segmenter:
  ros__parameters:
    model: {model}
    backend: torch
    cameras: [front, rear]
    front: {{image_topic: /pair/front}}
    rear: {{image_topic: /pair/rear/compressed}}
    threshold: 10.0
    cut_threshold: 10.0
    max_interval: 1000
    use_sim_time: true  # with no clock: masks and diagnostics do not need one
""")
    # In a namespace of its own: where two segmenters share one, both serve `request_keyframe` and a client
    # takes the first answer, which need not be of the node that its images go to.
    segmenter = processes("segmenter", "-r", "__ns:=/pair/dcfm", "--params-file", str(settings))
    front = Camera(probe, "/pair/front", "/pair/dcfm/front", frame_id="front_optical")
    rear = Camera(
        probe,
        "/pair/rear/compressed",
        "/pair/dcfm/rear",
        CompressedImage,
        frame_id="rear_optical",
        stamp_ns=5 * 10**9,
    )
    return front.connect(), rear.connect(), segmenter


@pytest.mark.slow
def test_each_camera_has_its_own_masks(two, probe):
    front, rear, segmenter = two
    sent = {front: [], rear: []}
    sizes = {front: (96, 64), rear: (48, 80)}
    for number in range(6):
        for camera in (front, rear) if number % 2 else (front,):  # they run at different rates
            sent[camera].append(camera.send(width=sizes[camera][0], height=sizes[camera][1], seed=number))
        for camera in (front, rear):
            if sent[camera]:
                camera.answer(sent[camera][-1])
    for camera, name in ((front, "front"), (rear, "rear")):
        assert [m.header for m in camera.masks] == [m.header for m in sent[camera]]
        for mask, image in zip(camera.masks, sent[camera]):
            check_mask(mask, image, *sizes[camera], classes=4)
        assert {info.camera for info in camera.infos} == {name}
        assert [info.sequence for info in camera.infos] == list(range(1, len(sent[camera]) + 1))
        (event,) = camera.keyframes
        assert (event.camera, event.reason, event.header) == (name, "first", sent[camera][0].header)
        status = probe.diagnostic(camera.topic, lambda s: s.number("masks") == len(sent[camera]))
        assert status.name == f"/pair/dcfm/segmenter: {name}"

    # One camera's trouble is not the other's.
    bad = rear.image()
    bad.data = bad.data[:50]
    rear.send(bad)
    probe.diagnostic(rear.topic, lambda s: s.number("refused_decode") == 1)
    assert not front.segment()[1].is_keyframe
    assert "refused_decode" not in probe.diagnostic(front.topic).values
    front.segment(width=64, height=96)
    assert not rear.segment(width=48, height=80)[1].is_keyframe

    # Lines of one camera's trouble do not keep back those of another's, which come within the same seconds.
    bad = front.image(width=64, height=96)
    bad.data = bad.data[:50]
    front.send(bad)
    segmenter.wait_for_text("no mask for an image of front")
    assert segmenter.text().count("no mask for an image of rear") == 1

    # A request is for all.
    assert probe.call(Trigger, "/pair/dcfm/request_keyframe", Trigger.Request()).success
    assert (
        front.segment(width=64, height=96)[1].is_keyframe and rear.segment(width=48, height=80)[1].is_keyframe
    )
