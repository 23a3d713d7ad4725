# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle by its services; settings with which the node cannot be configured, and its recovery from
them."""

import shutil

import pytest
import torch
import yaml
from helpers import write_tiny_model
from lifecycle_msgs.msg import Transition
from ros_helpers import DEFAULTS, NODE, OUTPUTS, Camera
from safetensors.torch import load_file, save_file
from std_srvs.srv import Trigger

from dcfm_ros.ros.segmenter_node import SegmenterNode


@pytest.mark.slow
def test_the_whole_life_by_services(segmenter, probe):
    segmenter.reset()  # the process was started with autostart false
    probe.spin_until(
        lambda: not any(probe.publishers()[topic] for topic in OUTPUTS), "the end of those before"
    )
    answer = probe.call(Trigger, "/dcfm/request_keyframe", Trigger.Request())
    assert not answer.success and answer.message.startswith("unconfigured: ")

    segmenter.start()
    camera = Camera(probe).connect()
    camera.segment()
    assert probe.change("deactivate") and probe.state() == "inactive"
    probe.spin_until(lambda: camera.publisher.get_subscription_count() == 0, "the end of the subscription")
    unseen = [camera.send() for _ in range(3)]

    assert probe.change("activate")
    camera.connect()
    seen = camera.send()
    _, info = camera.answer(seen)
    assert not any(camera.has_mask(image) for image in unseen)
    assert info.sequence == 2 and not info.is_keyframe  # the sequence goes on

    assert probe.change("deactivate") and probe.change("cleanup") and probe.state() == "unconfigured"
    probe.spin_until(lambda: probe.node.count_publishers("/dcfm/mask") == 0, "the end of the publishers")
    probe.spin_until(lambda: camera.publisher.get_subscription_count() == 0, "the end of the subscription")
    assert probe.change("configure") and probe.change("activate")
    camera.connect()
    _, info = camera.segment()
    assert info.sequence == 1 and info.is_keyframe  # a new life


@pytest.mark.slow
def test_many_lives_leave_nothing_behind(segmenter, probe):
    segmenter.start()
    camera = Camera(probe).connect()
    life = dict.fromkeys(OUTPUTS | {f"{NODE}/transition_event"}, 1)

    def publishers():
        """The node's; those of other tests' nodes are found at any time."""
        return {
            topic: count
            for topic, count in probe.publishers().items()
            if topic in OUTPUTS or topic.startswith(f"{NODE}/")
        }

    probe.spin_until(lambda: publishers() == life, "all topics of a life")
    for _ in range(2):
        assert probe.change("deactivate") and probe.change("cleanup")
        # Else it could be taken for that of the next life.
        probe.spin_until(
            lambda: camera.publisher.get_subscription_count() == 0, "the end of the subscription"
        )
        assert probe.change("configure") and probe.change("activate")
    camera.connect()
    camera.segment()
    probe.spin_until(lambda: publishers() == life, "one publisher of each, and no other")
    probe.spin_until(
        lambda: probe.node.count_subscribers(camera.topic) == 1, "one subscription, and no other"
    )


def test_a_destroyed_node_leaves_nothing_behind(probe):
    """Also where Python's collector has not come by yet: here it cannot, for the node is still held."""
    node = SegmenterNode(context=probe.context, cli_args=["--ros-args", "-r", "__node:=destroyed"])
    assert probe.publishers("/dcfm/destroyed/") == {"/dcfm/destroyed/transition_event": 1}
    node.destroy_node()
    assert not probe.publishers("/dcfm/destroyed/") and "destroyed" not in probe.node.get_node_names()


@pytest.mark.slow
@pytest.mark.parametrize(
    "transition",
    [
        Transition(label="configure"),
        Transition(label="activate"),
        Transition(label="no_such_transition"),
        Transition(id=Transition.TRANSITION_CLEANUP),
        Transition(id=250),
    ],
)
def test_an_impossible_transition_is_answered(camera, probe, transition):
    assert not probe.transition(transition)
    assert probe.state() == "active"
    camera.segment()


@pytest.mark.slow
@pytest.mark.parametrize(
    "values, words",
    [
        (dict(model="/no/such/folder"), ["/no/such/folder", "model.yaml", "built-in"]),
        (dict(model=""), ["no model ''"]),
        (dict(backend="abacus"), ["abacus", "torch", "openvino"]),
        (dict(device="tpu"), ["tpu", "cpu", "cuda"]),
        (dict(mode="psychic"), ["psychic", "async", "two_sided"]),
        (dict(image_topic=""), ["image_topic", "empty"]),
        (dict(image_topic="/bad topic!"), ["/bad topic!"]),
        (dict(image_transport="maybe"), ["maybe", "auto, raw, compressed"]),
        (dict(min_interval=20, max_interval=10), ["max_interval 10", "min_interval (20)"]),
    ],
)
def test_settings_that_cannot_be_configured(segmenter, model, values, words):
    segmenter.reset()
    good = {"model": str(model), **{name: DEFAULTS[name] for name in values if name in DEFAULTS}}
    try:
        assert segmenter.probe.set(**{**good, **values}) == ""
        check_refused(segmenter, *words)
    finally:
        assert segmenter.probe.set(**good) == ""


@pytest.mark.slow
def test_diagnostics_tell_why_nothing_is_configured(segmenter, model):
    segmenter.reset()
    try:
        assert segmenter.probe.set(model="/no/such/folder") == ""
        assert not segmenter.probe.change("configure")
        for part in ("cpu", DEFAULTS["image_topic"]):
            segmenter.probe.diagnostic(part, until=lambda status: "/no/such/folder" in status.message)
    finally:
        assert segmenter.probe.set(model=str(model)) == ""
    segmenter.start()
    segmenter.reset()
    segmenter.probe.diagnostic(
        "cpu", until=lambda status: f"ros2 lifecycle set {NODE} configure" in status.message
    )


def check_refused(segmenter, *words):
    """The node cannot be configured, says why, and lives."""
    before = segmenter.said()
    assert not segmenter.probe.change("configure")
    segmenter.process.wait_for_text("cannot configure", before)
    text = segmenter.text_since(before)
    assert all(word in text for word in words) and "Traceback" not in text, text
    assert segmenter.probe.state() == "unconfigured"


def _wrong_class_count(folder):
    plain = yaml.safe_load((folder / "model.yaml").read_text())
    plain["model"]["classes"].append({"name": "moon", "color": [1, 2, 3]})
    (folder / "model.yaml").write_text(yaml.safe_dump(plain))


def _unexpected_key(folder):
    tensors = load_file(folder / "weights.safetensors")
    save_file({**tensors, "encoder.surprise": torch.zeros(1)}, folder / "weights.safetensors")


def _missing_key(folder):
    tensors = load_file(folder / "weights.safetensors")
    del tensors["head.classifier.weight"]
    save_file(tensors, folder / "weights.safetensors")


def _damaged_weights(folder):
    (folder / "weights.safetensors").write_bytes(b"not tensors at all")


def _unknown_setting(folder):
    plain = yaml.safe_load((folder / "model.yaml").read_text())
    plain["model"]["sharpness"] = 11
    (folder / "model.yaml").write_text(yaml.safe_dump(plain))


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage, words",
    [
        (_wrong_class_count, ["weights have 4 classes", "model.yaml lists 5"]),
        (_unexpected_key, ["unexpected encoder.surprise"]),
        (_missing_key, ["missing head.classifier.weight"]),
        (_damaged_weights, ["weights.safetensors", "not a readable"]),
        (_unknown_setting, ["sharpness"]),
    ],
)
def test_model_folders_that_cannot_be_loaded(segmenter, model, tmp_path, damage, words):
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)
    damage(folder)
    segmenter.reset()
    assert segmenter.probe.set(model=str(folder)) == ""
    check_refused(segmenter, str(folder), *words)


@pytest.mark.slow
def test_good_settings_after_all_these(segmenter, probe):
    segmenter.reset()
    assert probe.set(model="/no/such/folder") == ""
    check_refused(segmenter, "/no/such/folder")
    segmenter.start()
    Camera(probe).connect().segment()


@pytest.mark.slow
def test_another_model_after_cleaning_up(segmenter, probe, tmp_path):
    segmenter.start()
    segmenter.start(model=str(write_tiny_model(tmp_path / "two", classes=2, seed=1)))
    mask, _ = Camera(probe).connect().segment()
    assert max(mask.data) < 2


@pytest.mark.slow
def test_bad_settings_at_the_start_leave_a_node_that_can_be_configured(model, processes, probe):
    """min > max, an unknown output and a bad camera name given on the command line: all are told, one after
    the other."""
    process = processes(
        "segmenter",
        "-r",
        "__node:=other",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        "-p",
        "min_interval:=20",
        "-p",
        "max_interval:=10",
        "-p",
        "outputs:=['hologram']",
        "-p",
        "cameras:=['front camera']",
        "-p",
        "image_topic:=/other/image",
    )
    node = "/dcfm/other"
    process.wait_for_text("cannot configure: camera name 'front camera'")
    assert probe.set(node, cameras=[""]) == ""
    assert not probe.change("configure", node)
    process.wait_for_text("cannot configure: max_interval 10")
    assert probe.set(node, max_interval=30) == ""
    assert not probe.change("configure", node)
    process.wait_for_text("cannot configure: outputs 'hologram': use some of")
    assert probe.set(node, outputs=["mask_info"]) == ""
    assert probe.change("configure", node) and probe.change("activate", node)
    Camera(probe, "/other/image").connect().segment()
    assert probe.change("deactivate", node)
    assert process.stop() == 0 and "Traceback" not in process.text()


def test_a_value_that_is_read_at_the_start_ends_the_process_with_a_message(processes):
    process = processes("segmenter", "-r", "__node:=mistyped", "-p", "autostart:=1")
    assert process.wait() == 1
    assert "autostart 1: use true or false" in process.text() and "Traceback" not in process.text()


@pytest.mark.slow
def test_a_wrong_qos_override_of_the_images_is_told_when_activating(processes, model, probe):
    process = processes(
        "segmenter",
        "-r",
        "__node:=typo",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        "-p",
        "image_topic:=/typo",
        "-p",
        "qos_overrides./typo.subscription.reliability:=relaible",
    )
    process.wait_for_text("cannot activate")
    assert "relaible" in process.text() and "Traceback" not in process.text()
    assert probe.state("/dcfm/typo") == "inactive"
    assert probe.change("cleanup", "/dcfm/typo")
    assert probe.set("/dcfm/typo", image_topic="/other_typo") == ""
    assert probe.change("configure", "/dcfm/typo") and probe.change("activate", "/dcfm/typo")
