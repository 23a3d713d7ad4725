# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A segmenter's process for the campaign, with a small model, in a DDS domain of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from campaign.progress import Progress

DOMAIN = "110"  # none of those that the tests take: another segmenter there would answer for this one

ANEW = ("deactivate", "cleanup", "configure", "activate")  # what gives up a configuration and makes the next


def take_domain() -> None:
    """Let what is started from now on be in the campaign's domain, or in that which the environment names."""
    os.environ |= {
        "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID", DOMAIN),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }


class Live(NamedTuple):
    """A segmenter that is active, a probe, and the parameters that it began with."""

    segmenter: Any  # of ros_helpers, which are imported once the domain is set
    probe: Any
    values: dict[str, Any]

    @property
    def process(self) -> Any:
        return self.segmenter.process

    def change(self, transitions: Iterable[str], progress: Progress) -> None:
        """Make the segmenter change its state, and note what it refuses."""
        for transition in transitions:
            if not self.probe.change(transition):
                progress.fault(f"{transition} was refused")


@contextmanager
def live_segmenter(cameras: dict[str, type], depth: int, waiting: int, **parameters: Any) -> Iterator[Live]:
    """Start a segmenter as users have it installed.

    cameras: names, and the classes of their messages, on the topics /NAME/image; depth: of the subscriptions,
    which are reliable, so that nothing is lost that is sent; waiting: images that may wait for their mask
    """
    take_domain()
    from helpers import write_tiny_model
    from ros_helpers import DEFAULTS, Probe, Process, Segmenter

    with tempfile.TemporaryDirectory(prefix="dcfm_campaign_") as folder:
        model = write_tiny_model(Path(folder) / "tiny", seed=11)
        arguments = ["-p", "autostart:=false"]
        values = {
            **DEFAULTS,
            "model": str(model),
            "cameras": list(cameras),
            "waiting_images": waiting,
        } | parameters
        for name, kind in cameras.items():
            topic = f"/{name}/image"
            values |= {
                f"{name}.image_topic": topic,
                f"{name}.image_transport": "raw" if kind.__name__ == "Image" else "compressed",
            }
            for policy, value in (("depth", depth), ("reliability", "reliable")):
                arguments += ["-p", f"qos_overrides.{topic}.subscription.{policy}:={value}"]
        probe = Probe("campaign")
        process = Process("segmenter", Path(folder) / "log", *arguments, installed=True)
        try:
            segmenter = Segmenter(process, probe, values)
            segmenter.start()
            yield Live(segmenter, probe, values)
        finally:
            process.stop()
            probe.close()
