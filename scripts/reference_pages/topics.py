# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics and services of all nodes. A camera's outputs come from the table in dcfm_ros/pipeline/topics.py."""

from dcfm_ros.pipeline.topics import BINARY_MASK, OUTPUTS, Topic
from dcfm_ros.ros.transports import TRANSPORTS
from reference_pages.markdown import code, sentence, table

_HEAD = ("topic", "type", "QoS", "meaning")
_SENSOR, _RELIABLE, _LATCHED = "best effort, 5", "reliable, 5", "reliable, 1, transient local"
_IMAGE, _INFO, _CLOUD = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/PointCloud2"
_DIAGNOSTICS = "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "reliable, 10"
_TAKEN = [
    (
        "image_topic",
        " ".join(dict.fromkeys(transport.type for transport in TRANSPORTS.values())),
        "best effort, 5; video 60",
        "The camera's images, as the parameters `image_topic` and `image_transport` say: [what is "
        "read](../live.md#pictures).",
    ),
    ("camera_info_topic", _INFO, _SENSOR, "Calibration; by default `camera_info` beside the image topic."),
]
_POINTS = [
    ("points", _CLOUD, _RELIABLE, "Points with classes, in frame and with stamp of the geometry. On demand."),
    (*_DIAGNOSTICS, "Once a second: [diagnostics](diagnostics.md#points)."),
]
_TAKEN_BY_POINTS = [
    ("topic", f"{_IMAGE} {_CLOUD}", _SENSOR, "The geometry, by the parameter `source`."),
    ("info_topic", _INFO, _SENSOR, "For `depth` of the depth image, for `lidar` of the masks' camera."),
    ("mask", _IMAGE, _SENSOR, "Of the segmenter."),
    ("confidence", _IMAGE, _SENSOR, "Of the segmenter; with the parameter of that name."),
    ("palette", "dcfm_ros/msg/ClassPalette", _LATCHED, "Until it is there nothing is published."),
]
_CAMERA = [
    (
        "camera/image_raw",
        _IMAGE,
        "reliable, 2; of a recording 10",
        "Images; of a recording under their recorded names.",
    ),
    (
        "camera/image_raw/compressed",
        "sensor_msgs/msg/CompressedImage",
        "as above",
        "Instead of it, with `encoding` jpeg or png.",
    ),
    (
        "camera/camera_info",
        _INFO,
        "as above",
        "Beside each image, with its stamp and frame. It follows `image_topic`, and remappings of it.",
    ),
    ("/clock", "rosgraph_msgs/msg/Clock", "reliable, 10", "Log times of a recording, with `clock`."),
]


def page() -> str:
    outputs = [_output(topic) for topic in (*OUTPUTS.values(), BINARY_MASK)]
    outputs.append((*_DIAGNOSTICS, "Once a second: [diagnostics](diagnostics.md)."))
    return "\n".join(
        [
            _INTRODUCTION,
            _topics("topic that it publishes", outputs),
            _AFTER_OUTPUTS,
            _topics("topic that it takes", _TAKEN),
            _SERVICES,
            "## Points\n",
            "[Labelled points](../points.md). Of several cameras (`camera:=front`) all but `topic`, "
            "`info_topic` and `/diagnostics` are below `front/`.\n",
            _topics("topic that it publishes", _POINTS),
            _topics("topic that it takes", _TAKEN_BY_POINTS),
            "## Camera\n",
            "[The camera node](../camera_node.md). Its namespace is `/`.\n",
            _topics("topic that it publishes", _CAMERA),
            _VIEWER,
        ]
    )


def _output(topic: Topic) -> tuple[str, ...]:
    notes = sentence(topic.description) + (" On demand." if topic.on_demand else "")
    return topic.name, topic.type, _LATCHED if topic.latched else _RELIABLE, notes


def _topics(what: str, rows) -> str:
    return table(
        (what, *_HEAD[1:]),
        [(code(name), ", ".join(map(code, types.split())), *rest) for name, types, *rest in rows],
    )


_INTRODUCTION = """# Topics and services

Which topics each node publishes and takes, with types and QoS.

Names are relative to the node's namespace, which is `/dcfm` if nothing else is said, unless they begin with `/`. QoS is
reliability and depth. `qos_overrides.<topic>.publisher.{reliability,history,depth}`, and `.subscription.…`, change that
of all topics of cameras and points but the latched ones (transient local).

## Segmenter

One camera has its topics directly in `/dcfm`; of several each has its own below `<camera>/`.
"""
_AFTER_OUTPUTS = """On demand means: made only while somebody subscribes. What the parameter [`outputs`](parameters.md#segmenter)
does not name is not made, though the topic stays. Values of `mode` and `reason` are constants of the
[messages](messages.md).
"""
_SERVICES = """| service | type | meaning |
| --- | --- | --- |
| `request_keyframe` | `std_srvs/srv/Trigger` | The next frame of every camera becomes a keyframe. |
| `segmenter/change_state`, … | `lifecycle_msgs/srv/…` | A lifecycle node: `ros2 lifecycle set /dcfm/segmenter configure`, `activate`, `deactivate`, `cleanup`. |
"""
_VIEWER = """## Viewer

[The Rerun viewer](../viewer.md) takes the image topic, `mask`, `mask_info`, `keyframe` and `palette` of the segmenter's
cameras, and `/diagnostics`, where it has a [status of its own](diagnostics.md#viewer), too.
"""
