# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The message types that are read and written: those of ROS 2 Jazzy, our own, the class list of vision_msgs,
and video packets."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dcfm_ros.bags.errors import BagError
from dcfm_ros.config_folders import config_folders

IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
COMPRESSED_VIDEO, FFMPEG_PACKET = VIDEOS = (
    "foxglove_msgs/msg/CompressedVideo",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
)
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
PALETTE, MASK_INFO, KEYFRAME = (
    f"dcfm_ros/msg/{name}" for name in ("ClassPalette", "MaskInfo", "KeyframeEvent")
)
LABEL_INFO = "vision_msgs/msg/LabelInfo"

# No part of the base distribution; field for field their definitions.
_OF_OTHERS = {
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    LABEL_INFO: "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n",
    COMPRESSED_VIDEO: "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    FFMPEG_PACKET: "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 "
    "flags\nbool is_bigendian\n"
    "uint8[] data\n",
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The types by name, as in `sensor_msgs/msg/Image`."""
    store = get_typestore(Stores.ROS2_JAZZY)
    ours = {f"dcfm_ros/msg/{file.stem}": file.read_text() for file in sorted(_msg_folder().glob("*.msg"))}
    types: dict = {}
    for name, text in {**ours, **_OF_OTHERS}.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


def _msg_folder() -> Path:
    """Beside `config` in the source tree or under share/, as the built-in models are."""
    places = [folder.parents[1] / "msg" for folder in config_folders("models")]
    for place in places:
        if (place / "MaskInfo.msg").is_file():
            return place
    raise BagError(
        f"the package's message definitions are not in {', '.join(map(str, places)) or 'any known place'}: "
        "install dcfm_ros anew"
    )
