# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of a camera's output topics, from which the node's publishers, its parameter `outputs`,
recordings, subscribers, tests and documentation are derived. Standard library only.

To add a topic: an entry in `OUTPUTS`, and a function that creates its message in `ros/camera_outputs.py`
(docs/development.md).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """An output topic and its messages. name: relative to the camera's namespace.

    switch: its name in the parameter `outputs`; empty: it cannot be switched off
    latched: the newest message is kept for late subscribers (transient local)
    on_demand: computed only while there are subscribers
    in_recordings: `dcfm bag segment` writes it, too
    """

    name: str
    type: str
    description: str
    switch: str = ""
    latched: bool = False
    on_demand: bool = True
    in_recordings: bool = False


IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"

# In the order of recordings and of the parameter `outputs`.
OUTPUTS = {
    topic.name: topic
    for topic in (
        Topic(
            "mask",
            IMAGE,
            "mono8, value = class id, 255 = unlabelled. Size of the image, or `mask_size`; its header is the "
            "image's, unchanged",
            on_demand=False,
            in_recordings=True,
        ),
        Topic(
            "mask_info",
            "dcfm_ros/msg/MaskInfo",
            "how the mask was made: mode, age and alignment of the common feature, its motion in pixels, AKS "
            "score, durations in seconds, drops",
            switch="mask_info",
            on_demand=False,
            in_recordings=True,
        ),
        Topic(
            "keyframe",
            "dcfm_ros/msg/KeyframeEvent",
            "a keyframe's common feature is ready: reason, score, interval, queue and encode time in seconds",
            on_demand=False,
            in_recordings=True,
        ),
        Topic(
            "palette",
            "dcfm_ros/msg/ClassPalette",
            "id, name and colour of each class",
            latched=True,
            on_demand=False,
            in_recordings=True,
        ),
        Topic(
            "label_info",
            "vision_msgs/msg/LabelInfo",
            "id and name of each class; live only where vision_msgs is installed",
            latched=True,
            on_demand=False,
            in_recordings=True,
        ),
        Topic("confidence", IMAGE, "mono8, softmax of the winning class × 255", switch="confidence"),
        Topic("overlay", IMAGE, "rgb8, the image with its classes coloured", switch="overlay"),
        Topic("overlay/compressed", COMPRESSED_IMAGE, "the same as JPEG", switch="overlay_compressed"),
        Topic("mask/compressed", COMPRESSED_IMAGE, "the mask as lossless PNG", switch="mask_compressed"),
        Topic("color_mask", IMAGE, "rgb8, the classes' colours alone", switch="color_mask"),
        Topic(
            "probabilities",
            IMAGE,
            "8UCn or 32FCn, softmax with one channel per class, in the order of `palette`",
            switch="probabilities",
        ),
        Topic(
            "camera_info",
            "sensor_msgs/msg/CameraInfo",
            "the camera's calibration, scaled to the mask, if the camera publishes one",
            switch="camera_info",
        ),
    )
}
BINARY_MASK = Topic(
    "mask/<class>", IMAGE, "mono8, 255 where the class is; one topic per class in `binary_masks`"
)

SWITCHED = {topic.switch: topic for topic in OUTPUTS.values() if topic.switch}  # by name in `outputs`


def prefix_of(camera: str) -> str:
    """Return the prefix of a camera's topics in the segmenter's namespace; camera is empty for the only
    one."""
    return f"{camera}/" if camera else ""
