# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The message types that are read and written: those of ROS 2 Jazzy, of this package, the class list of
vision_msgs, and video packets."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dcfm_ros.bags.errors import BagError
from dcfm_ros.config_folders import config_folders
from dcfm_ros.pipeline.topics import COMPRESSED_IMAGE, IMAGE, OUTPUTS  # noqa: F401 (others read the types here)

COMPRESSED_VIDEO, FFMPEG_PACKET = VIDEOS = (
    "foxglove_msgs/msg/CompressedVideo",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
)
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
PALETTE, MASK_INFO, KEYFRAME, LABEL_INFO = (
    OUTPUTS[name].type for name in ("palette", "mask_info", "keyframe", "label_info")
)

# No part of the base distribution; field for field their definitions.
_OF_OTHERS = {
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    LABEL_INFO: "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n",
    COMPRESSED_VIDEO: "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    FFMPEG_PACKET: "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 "
    "flags\nbool is_bigendian\nuint8[] data\n",
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the types by name, for example `sensor_msgs/msg/Image`."""
    store = get_typestore(Stores.ROS2_JAZZY)
    ours = {f"dcfm_ros/msg/{file.stem}": file.read_text() for file in sorted(_msg_folder().glob("*.msg"))}
    types: dict = {}
    for name, text in {**ours, **_OF_OTHERS}.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


def _msg_folder() -> Path:
    """Return the folder of message definitions: beside `config` in the source tree or under share/, like the
    built-in models."""
    places = [folder.parents[1] / "msg" for folder in config_folders("models")]
    for place in places:
        if (place / "MaskInfo.msg").is_file():
            return place
    raise BagError(
        f"the package's message definitions are not in {', '.join(map(str, places)) or 'any known place'}: "
        "install dcfm_ros anew"
    )
