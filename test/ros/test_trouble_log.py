# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

from dcfm_ros.ros.trouble_log import TroubleLog


def test_trouble_that_lasts_is_logged_once_and_so_is_its_end():
    lines = []
    log = SimpleNamespace(
        warning=lambda text: lines.append(f"W {text}"), info=lambda text: lines.append(f"I {text}")
    )
    troubles = TroubleLog(SimpleNamespace(get_logger=lambda: log), reports=3)
    for is_trouble in (True, True, False, True, True, True, True, False, False):
        troubles.note("front", is_trouble, "no image" if is_trouble else "15 Hz")
        troubles.note("", False, "well")
    assert lines == ["W front: no image", "I front: 15 Hz"]
