# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings that cannot work."""

import pytest

from dcfm_ros.pipeline.settings import PipelineConfig, SchedulerConfig


@pytest.mark.parametrize(
    "values, message",
    [
        (dict(mode="batch"), "mode 'batch': use one of async, sync, two_sided"),
        (
            dict(mode="sync", scheduler=SchedulerConfig(threshold_rule="deadline")),
            "threshold_rule deadline in mode sync: .*use mode async, or threshold_rule fixed",
        ),
        (dict(silence_s=0.0), "silence_s 0.0: use 0.1 to 3600"),
        (dict(silence_s=float("nan")), "silence_s nan"),
    ],
)
def test_settings_that_cannot_work_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PipelineConfig(**values)
