# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Formats values as YAML that ROS's parser reads back unchanged. Standard library only, as launch files use
it."""

from __future__ import annotations

import json
import re

# Characters that JSON does not escape, but libyaml refuses or takes for a line break.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def as_yaml(value) -> str:
    """Format text, numbers, booleans, lists and dicts of these as one line of JSON, which is YAML without
    ambiguous text.

    Raises ValueError for text that is not UTF-8, such as a file name in another encoding, which ROS
    parameters cannot hold.
    """
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text} is not UTF-8, which parameters of ROS must be: rename it") from error
    return _UNPRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
