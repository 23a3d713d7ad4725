# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values as YAML that ROS's parser reads back as they are. Standard library only, since launch files write
with it, too."""

from __future__ import annotations

import json
import re

# What JSON leaves as it is, but libyaml refuses or takes for the end of a line.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def as_yaml(value) -> str:
    """Text, numbers, booleans, lists and dicts of these as one line: JSON is YAML in which text cannot be
    taken for anything else.

    A ValueError names text that has no UTF-8, as a file's name in another encoding; ROS's parameters cannot
    hold it.
    """
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text} is not UTF-8, which parameters of ROS must be: rename it") from error
    return _UNPRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
