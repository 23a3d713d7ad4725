# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters: what changes while running, what is refused, and with which words."""

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, ListParameters
from ros_helpers import DEFAULTS, NODE, Camera, of
from sensor_msgs.msg import Image

from dcfm_ros.ros.names import in_robot


def synchronous(segmenter, probe, **parameters):
    """A camera whose keyframes do not depend on when the encoder has time."""
    segmenter.start(mode="sync", **parameters)
    return Camera(probe).connect()


@pytest.mark.slow
def test_max_interval_takes_effect_while_running(segmenter, probe):
    camera = synchronous(segmenter, probe)
    for _ in range(5):
        _, info = camera.segment()
    assert not info.is_keyframe
    assert probe.set(max_interval=2) == ""
    marks = [camera.segment()[1].is_keyframe for _ in range(8)]
    assert marks[0] and marks == [True, False] * 4
    assert probe.set(min_interval=2, max_interval=1000) == ""
    assert [camera.segment()[1].is_keyframe for _ in range(4)] == [False] * 4


@pytest.mark.slow
def test_threshold_and_min_interval_take_effect_while_running(segmenter, probe):
    # these pictures are new each time: no motion explains them
    camera = synchronous(segmenter, probe, alignment="none")
    camera.segment(seed=1)
    assert camera.segment(seed=2)[1].score > 0.1
    assert probe.set(threshold=0.1) == ""
    assert [camera.segment(seed=n)[1].is_keyframe for n in range(3, 8)] == [True, False, True, False, True]
    assert probe.set(min_interval=4) == ""
    assert [camera.segment(seed=n)[1].is_keyframe for n in range(10, 18)] == [False, False, False, True] * 2
    reasons = [event.reason for event in camera.keyframes]
    assert reasons[0] == "first" and set(reasons[1:]) == {"deviation"}


REFUSED_WHILE_RUNNING = [
    (dict(aks_score="sum"), ["aks_score 'sum'", "auto, residual, paper"]),
    (dict(threshold="much"), ["threshold 'much'", "a number"]),
    (dict(threshold=20), ["threshold 20", "up to 10"]),
    (dict(threshold=True), ["threshold True", "a number"]),
    (dict(max_interval=2.5), ["max_interval 2.5", "a whole number"]),
    (dict(threshold_rule=True), ["threshold_rule True", "quotes"]),
    (dict(outputs=[True, False]), ["outputs [True, False]", "a list of names", "quotes"]),
    (dict(outputs="overlay"), ["outputs 'overlay'", "a list of names"]),
    (dict(threshold_rule="clock"), ["threshold_rule 'clock'", "fixed, deadline"]),
    (dict(keyframe_budget_hz=0.001), ["keyframe_budget_hz 0.001", "0 for no bound"]),
    (dict(min_interval=20, max_interval=10), ["max_interval 10", "min_interval (20)"]),
    (dict(overlay_alpha=1.5), ["overlay_alpha", "1.5"]),
    (dict(outputs=["overlay", "hologram"]), ["hologram", "mask_info", "overlay_compressed"]),
    (dict(model="elsewhere"), ["model", "clean up first"]),
    (dict(backend="openvino"), ["backend", "clean up first"]),
    (dict(mode="sync"), ["mode", "clean up first"]),
    (dict(alignment="none"), ["alignment", "clean up first"]),
    (dict(image_topic="/other"), ["image_topic", "clean up first"]),
    (dict(cameras=["front"]), ["cameras", "clean up first"]),
    (dict(autostart=False), ["autostart"]),
]


@pytest.mark.slow
def test_refused_while_running(camera, probe):
    for values, words in REFUSED_WHILE_RUNNING:
        reason = probe.set(**values)
        assert reason and all(word in reason for word in words), (values, reason)
    camera.segment()


@pytest.mark.slow
def test_the_residual_needs_alignment_and_0_is_the_threshold_of_the_score(segmenter, probe):
    camera = synchronous(segmenter, probe, alignment="none")
    reason = probe.set(aks_score="residual")
    assert "aks_score residual with alignment none" in reason and "use paper or auto" in reason
    assert camera.segment()[1].alignment == "none"
    segmenter.start(mode="sync")
    assert probe.set(aks_score="paper", threshold=0.0) == "" and probe.set(aks_score="residual") == ""
    camera = Camera(probe).connect()
    assert [camera.segment()[1].alignment for _ in range(2)] == ["still", "still"]


@pytest.mark.slow
def test_deadline_needs_mode_async(segmenter, probe):
    segmenter.start(mode="sync")
    reason = probe.set(threshold_rule="deadline")
    assert "deadline in mode sync" in reason and "use mode async" in reason
    segmenter.start()
    assert probe.set(threshold_rule="deadline", encoder_share=0.5) == ""
    Camera(probe).connect().segment()


@pytest.mark.slow
def test_budget_takes_effect_while_running(camera, probe):
    """In mode async the budget is measured in real time: 0.01 keyframes a second save up to one, and then
    there are none."""
    assert probe.set(max_interval=2, keyframe_budget_hz=0.01) == ""
    for _ in range(12):
        camera.segment()
    status = probe.diagnostic(camera.topic, lambda s: s.number("received") == 12)
    assert (
        status.number("over_budget") > 0 and status.number("overdue") > 0 and status.number("keyframes") <= 2
    )
    assert probe.set(keyframe_budget_hz=0.0) == ""
    camera.segment()
    probe.diagnostic(camera.topic, lambda s: s.number("keyframes") == status.number("keyframes") + 1)


@pytest.mark.slow
def test_deleting_a_parameter_or_setting_an_unknown_one_is_refused(camera, probe):
    for name in ("threshold", "outputs", "model", "overlay_alpha", "no_such_parameter"):
        (result,) = probe.set_messages([ParameterMessage(name=name)])  # as `ros2 param delete`
        assert not result.successful and result.reason
    camera.segment()


@pytest.mark.slow
def test_outputs_can_be_switched_off_and_on(camera, probe):
    confidences = probe.collect(Image, "/dcfm/confidence")
    probe.spin_until(lambda: camera.segment() and confidences, "a confidence")
    assert probe.set(outputs=["overlay"]) == ""
    without = camera.send()
    probe.spin_until(lambda: camera.has_mask(without), "the mask, which is no optional output")
    assert probe.set(outputs=["mask_info", "confidence"]) == ""
    image = camera.send()
    camera.answer(image)
    probe.spin_until(lambda: of(confidences, image), "a confidence")
    assert of(camera.infos, without) is None and of(confidences, without) is None


@pytest.mark.slow
def test_every_parameter_says_what_it_is(segmenter, probe):
    segmenter.start()
    names = probe.call(ListParameters, f"{NODE}/list_parameters", ListParameters.Request()).result.names
    descriptors = probe.call(
        DescribeParameters, f"{NODE}/describe_parameters", DescribeParameters.Request(names=names)
    ).descriptors
    own = [
        d
        for d in descriptors
        if not d.name.startswith(("qos_overrides", "use_sim_time", "start_type_description"))
    ]
    assert {"model", "image_topic", "threshold", "outputs", "cameras"} <= {d.name for d in own}
    assert [d.name for d in own if not d.description] == []
    for descriptor in own:
        if descriptor.type == ParameterType.PARAMETER_DOUBLE:
            assert descriptor.floating_point_range, descriptor.name
        if descriptor.type == ParameterType.PARAMETER_INTEGER:
            assert descriptor.integer_range, descriptor.name


@pytest.mark.slow
def test_cameras_can_be_named_before_configuring(segmenter, probe):
    segmenter.reset()
    try:
        assert probe.set(cameras=["left"]) == ""
        assert probe.set(named={"left.image_topic": "/stereo/left"}) == ""
        assert probe.change("configure") and probe.change("activate")
        assert "clean up first" in probe.set(named={"left.image_topic": "/elsewhere"})
        camera = Camera(probe, "/stereo/left", "/dcfm/left").connect()
        mask, info = camera.segment()
        assert info.camera == "left" and np.array_equal([mask.width, mask.height], [96, 64])
    finally:
        segmenter.reset()
        assert probe.set(cameras=[""]) == ""


@pytest.mark.slow
def test_values_as_yaml_writes_them(segmenter, probe, model):
    """A whole number for a float, a list without names, a folder named by a date."""
    segmenter.start()
    assert probe.set(threshold=1, overlay_alpha=0, outputs=[]) == ""
    (result,) = probe.set_messages(
        [ParameterMessage(name="outputs", value=ParameterValue(type=ParameterType.PARAMETER_BOOL_ARRAY))]
    )
    assert result.successful, result.reason  # what `ros2 param set outputs "[]"` sends
    Camera(probe).connect()
    segmenter.reset()
    assert probe.set(model=20260101) == ""
    assert not probe.change("configure")
    probe.diagnostic("cpu", lambda status: "no model '20260101'" in status.message)


@pytest.mark.slow
def test_a_value_that_a_parameter_has_already_is_no_change(camera, probe, segmenter, model):
    """So that what `ros2 param dump` wrote can be loaded while the node runs."""
    assert probe.set(**{**DEFAULTS, "model": str(model)}) == ""
    assert "clean up first" in probe.set(model="elsewhere")
    camera.segment()


@pytest.mark.slow
def test_a_refused_value_leaves_the_parameter_as_it_was_described(segmenter, probe):
    segmenter.start()
    assert "a number" in probe.set(threshold="much")
    (descriptor,) = probe.call(
        DescribeParameters, f"{NODE}/describe_parameters", DescribeParameters.Request(names=["threshold"])
    ).descriptors
    assert descriptor.type == ParameterType.PARAMETER_DOUBLE


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, text",
    [
        (
            ("-p", "cameras:=[on, y]"),
            "cannot configure: cameras [True, True]: use a list of names, in quotes",
        ),
        (("-p", "model:=on"), "cannot configure: model True: a name is needed"),
        (("-p", "image_topic:=[]"), "cannot configure: image_topic is empty"),
        (("-p", "threshold:=99.0"), "cannot configure: threshold 99.0: use a value above 0 and up to 10"),
        (("-p", "min_mask_hz:=.nan"), "cannot configure: min_mask_hz nan: use 0 to 1000"),
        (("-p", "min_mask_hz:=many"), "cannot configure: min_mask_hz 'many': use a number"),
        (("-p", "waiting_images:=two"), "cannot configure: waiting_images 'two': use a whole number"),
    ],
)
def test_wrong_types_at_the_start_leave_a_node_that_can_be_configured(model, processes, arguments, text):
    process = processes(
        "segmenter", "-r", "__node:=typed", "-p", f"model:={model}", "-p", "backend:=torch", *arguments
    )
    process.wait_for_text(text)
    assert process.stop() == 0 and "Traceback" not in process.text()


@pytest.mark.parametrize(
    "namespace, name, topic",
    [
        ("/dcfm", "camera/image_raw", "/camera/image_raw"),
        ("/robot1/dcfm", "camera/image_raw", "/robot1/camera/image_raw"),
        ("/robot1", "camera/image_raw", "/robot1/camera/image_raw"),
        ("/robot1/dcfm", "/camera/image_raw", "/camera/image_raw"),
        ("/", "image", "/image"),
        ("/dcfm/dcfm", "image", "/dcfm/image"),
        ("/robot1/dcfm", "~/image", "~/image"),
        ("/a", "", ""),
    ],
)
def test_relative_topics_begin_in_the_robots_namespace(namespace, name, topic):
    assert in_robot(namespace, name) == topic


@pytest.mark.slow
def test_several_wrong_values_are_set_right_one_after_the_other(model, processes, probe):
    process = processes(
        "segmenter",
        "-r",
        "__node:=typed",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        "-p",
        "min_interval:=two",
        "-p",
        "max_interval:=three",
        "-p",
        "overlay_alpha:=half",
    )
    process.wait_for_text("cannot configure")
    for change in (dict(min_interval=2), dict(threshold=0.5), dict(max_interval=5), dict(overlay_alpha=1)):
        assert probe.set("/dcfm/typed", **change) == ""
    assert probe.change("configure", "/dcfm/typed")


@pytest.mark.parametrize(
    "names, text",
    [
        (["front camera"], "camera name 'front camera': use letters"),
        (["käse"], "camera name 'käse'"),
        (["a", "b", "a"], "['a', 'b', 'a']: make them unique"),
        (["backend"], "diagnostics call the inference backend so"),
    ],
)
def test_names_that_no_camera_can_have(segmenter, probe, names, text):
    segmenter.reset()
    assert text in probe.set(cameras=names)


@pytest.mark.slow
def test_cameras_and_their_topics_in_any_order(segmenter, probe):
    """Set them like `ros2 param load`, in alphabetical order, and all at once; only while it is not
    configured."""
    segmenter.reset()
    try:
        assert probe.set(named={"alpha.image_topic": "/first"}) == ""
        assert (
            probe.set(
                cameras=["alpha", "zoo"],
                named={"zoo.image_topic": "/last", "zoo.image_transport": "compressed"},
            )
            == ""
        )
        probe.diagnostic("/first"), probe.diagnostic("/last")
        assert probe.change("configure")
        assert "undeclared" in probe.set(named={"beta.image_topic": "/beta"})
    finally:
        segmenter.reset()
        assert probe.set(cameras=[""]) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "override", ["front.image_topic:=[a, b]", "front.image_topic:=[]", "front.image_transport:=on"]
)
def test_a_camera_whose_parameters_cannot_be_used_is_told_when_configuring(model, processes, probe, override):
    process = processes(
        "segmenter",
        "-r",
        "__node:=typed",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        "-p",
        "autostart:=false",
        "-p",
        override,
    )
    assert probe.set("/dcfm/typed", cameras=["front"]) == ""
    assert not probe.change("configure", "/dcfm/typed")
    assert f"cannot configure: {override.partition(':=')[0]}" in process.text()
    assert process.stop() == 0 and "Traceback" not in process.text()


@pytest.mark.slow
def test_misspelt_parameters_are_told(model, processes):
    process = processes(
        "segmenter",
        "-r",
        "__node:=typed",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        "-p",
        "thresholdd:=0.5",
        "-p",
        "wheel_radius:=0.1",
        "-p",
        "cameras:=[r]",
        "-p",
        "r.image_topic:=/r",
    )
    process.wait_for_text("active: ")
    assert "r.image_topic" not in process.text()  # that of a camera is none
    assert (
        "unknown parameter thresholdd: do you mean threshold?" in process.text()
        and "wheel_radius" not in process.text()
    )
