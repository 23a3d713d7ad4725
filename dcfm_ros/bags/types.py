# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The message types that are read and written: those of ROS 2 Jazzy, our own, and the class list of vision_msgs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dcfm_ros.bags.errors import BagError
from dcfm_ros.model.folder import builtin_folders

IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
PALETTE, MASK_INFO, KEYFRAME = (f"dcfm_ros/msg/{name}" for name in ("ClassPalette", "MaskInfo", "KeyframeEvent"))
LABEL_INFO = "vision_msgs/msg/LabelInfo"

# vision_msgs is no part of the base distribution; field for field its definition.
_VISION_MSGS = {
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    LABEL_INFO: "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n",
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The types by name, as in `sensor_msgs/msg/Image`."""
    store = get_typestore(Stores.ROS2_JAZZY)
    ours = {f"dcfm_ros/msg/{file.stem}": file.read_text() for file in sorted(_msg_folder().glob("*.msg"))}
    types: dict = {}
    for name, text in {**ours, **_VISION_MSGS}.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


def _msg_folder() -> Path:
    """Beside `config` in the source tree or under share/, as the built-in models are."""
    places = [folder.parents[1] / "msg" for folder in builtin_folders()]
    for place in places:
        if (place / "MaskInfo.msg").is_file():
            return place
    raise BagError(f"the package's message definitions are not in {', '.join(map(str, places)) or 'any known place'}: "
                   "install dcfm_ros anew")
