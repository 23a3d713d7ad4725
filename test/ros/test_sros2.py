# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy of SROS 2 names what the nodes really have, no more and no less; and, where the middleware was
built with security and `sros2` is installed, the nodes run with it and nobody else gets in."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from ros_helpers import DEADLINE_S
from sensor_msgs.msg import PointCloud2

POLICY = Path(get_package_share_directory("dcfm_ros")) / "config" / "sros2" / "policy.xml"
PEER = Path(__file__).with_name("sros2_peer.py")
INTRUDER = "intruder"  # frame id of its images
# Topics that a node has only where an optional package is installed.
OPTIONAL = {"/dcfm/label_info"} if importlib.util.find_spec("vision_msgs") is None else set()


def rights() -> dict[str, dict[str, set[str]]]:
    """What each enclave may do: names by `publish`, `subscribe`, `reply` and `request`."""
    found = {}
    for enclave in ElementTree.parse(POLICY).getroot().find("enclaves"):
        (profile,) = enclave.iter("profile")
        namespace = profile.get("ns").rstrip("/")
        own = found[enclave.get("path")] = {
            kind: set() for kind in ("publish", "subscribe", "reply", "request")
        }
        for group in profile:
            for kind, rule in group.attrib.items():
                assert rule == "ALLOW"
                for entry in group:
                    name = entry.text.replace("~", f"{namespace}/{profile.get('node')}")
                    own[kind].add(name if name.startswith("/") else f"{namespace}/{name}")
    return found


def has(node, name: str, namespace: str) -> dict[str, set[str]]:
    """What a running node has, seen by another."""
    ask = {
        "publish": node.get_publisher_names_and_types_by_node,
        "subscribe": node.get_subscriber_names_and_types_by_node,
        "reply": node.get_service_names_and_types_by_node,
        "request": node.get_client_names_and_types_by_node,
    }
    return {kind: {topic for topic, _ in of(name, namespace)} for kind, of in ask.items()}


def hold_against_the_graph(probe, name: str, namespace: str, enclave: str):
    """Wait for what the policy says, since facts of the graph come one by one; in vain, and the difference is
    shown."""
    allowed = {kind: names - OPTIONAL for kind, names in rights()[enclave].items()}
    found = {}
    deadline = time.monotonic() + 30.0
    while found != allowed and time.monotonic() < deadline:
        if (name, namespace) in probe.node.get_node_names_and_namespaces():
            found = has(probe.node, name, namespace)
        probe.spin_until(lambda: True)
    assert found == allowed


def test_the_segmenter_has_what_its_enclave_may_do(segmenter, probe):
    segmenter.start()
    hold_against_the_graph(probe, "segmenter", "/dcfm", "/dcfm/segmenter")


@pytest.mark.slow
def test_camera_and_points_have_what_their_enclaves_may_do(processes, probe):
    processes("camera", "-p", "source:=synthetic", "-p", "wait_for_subscribers:=9")
    processes("points", "-p", "source:=depth")
    probe.collect(PointCloud2, "/dcfm/points")  # it takes masks while somebody takes its points
    hold_against_the_graph(probe, "camera", "/", "/dcfm/camera")
    hold_against_the_graph(probe, "points", "/dcfm", "/dcfm/points")


@pytest.mark.slow
def test_the_viewer_has_what_its_enclave_may_do(segmenter, processes, probe, tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    segmenter.start()
    processes("viewer", "-p", f"target:='{tmp_path / 'drive.rrd'}'", installed=True)
    hold_against_the_graph(probe, "viewer", "/dcfm", "/dcfm/viewer")


def test_what_one_enclave_takes_another_gives():
    """No name is misspelt: also of those whose nodes are not ours."""
    every = rights().values()
    said = {topic for enclave in every for topic in enclave["publish"]}
    answered = {service for enclave in every for service in enclave["reply"]}
    for path, enclave in rights().items():
        others = {
            topic for topic in enclave["subscribe"] if "/camera/depth/" not in topic
        }  # of a depth camera's driver
        assert others <= said and enclave["request"] <= answered, path


def test_one_enclave_alone_may_say_masks_and_one_images():
    may_say = {
        topic: [path for path, enclave in rights().items() if topic in enclave["publish"]]
        for topic in ("/dcfm/mask", "/dcfm/mask_info", "/dcfm/palette", "/camera/image_raw")
    }
    assert may_say.pop("/camera/image_raw") == ["/dcfm/camera"]
    assert set(map(tuple, may_say.values())) == {("/dcfm/segmenter",)}
    for path in ("/dcfm/camera", "/dcfm/consumer", "/dcfm/points"):
        assert not rights()[path]["request"], f"{path} may change other nodes"


def test_nothing_stands_between_enclaves():
    """sros2 takes a comment there for an enclave, and fails. One name alone has a wildcard."""
    assert "<enclaves>\n    <enclave " in POLICY.read_text()
    between = re.findall(r"</enclave>(.*?)(?=<enclave |</enclaves>)", POLICY.read_text(), re.DOTALL)
    assert len(between) == len(rights()) and not any(map(str.strip, between))
    names = {name for enclave in rights().values() for kind in enclave.values() for name in kind}
    assert [name for name in names if set("*?[]~") & set(name)] == ["/_ros2cli_*/get_type_description"]


# With SROS 2


@pytest.fixture
def keystore(other_domain, tmp_path):
    """Keys and permissions of every enclave, as `ros2 security generate_artifacts` makes them. It also holds
    the policy against sros2's schema. In a domain of its own: the session's segmenter is not secured."""
    pytest.importorskip("sros2.api", reason="sros2 is not installed (it is not on PyPI)")
    folder = tmp_path / "keystore"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _GENERATE, folder, POLICY],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    return folder


_GENERATE = """
import pathlib, sys
from sros2.api import _artifact_generation
_artifact_generation.generate_artifacts(pathlib.Path(sys.argv[1]), [], [pathlib.Path(sys.argv[2])])
"""


@pytest.mark.slow
def test_sros2_makes_permissions_of_the_policy(keystore):
    for path, enclave in rights().items():
        text = (keystore / "enclaves" / path.lstrip("/") / "permissions.xml").read_text()
        said = set(
            re.findall("<topic>(.*?)</topic>", re.search("<publish>.*?</publish>", text, re.DOTALL)[0])
        )
        assert {name.removeprefix("rt") for name in said if name.startswith("rt/")} == enclave["publish"]


@pytest.fixture
def secured(keystore, tmp_path):
    """`secured(command, *arguments, enclave=None)`: starts a command with enforced security, or without any.
    Everything that still runs at the end is ended."""
    started = []

    def start(*command, enclave=None):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("ROS_SECURITY")
        }
        words = [*map(str, command)]
        if enclave is not None:
            environment |= {
                "ROS_SECURITY_KEYSTORE": str(keystore),
                "ROS_SECURITY_ENABLE": "true",
                "ROS_SECURITY_STRATEGY": "Enforce",
            }
            words += [*([] if "--ros-args" in words else ["--ros-args"]), "--enclave", enclave]
        log = tmp_path / f"{len(started)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        started.append(Secured(process, log))
        return started[-1]

    yield start
    for one in started:
        one.end()


class Secured:
    """A process and what it has printed."""

    def __init__(self, process, log):
        self.process, self.log = process, log

    def text(self):
        return self.log.read_text(errors="replace")

    def says(self, text):
        """Wait for a line with this text, and return it."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            ended = self.process.poll() is not None
            if lines := [line for line in self.text().splitlines() if text in line]:
                return lines[-1]
            assert not ended and time.monotonic() < deadline, f"did not say {text!r}:\n{self.text()[-3000:]}"
            time.sleep(0.05)  # between two looks into a file; nothing depends on its length

    def finish(self):
        """Close its input, and return what it printed."""
        self.process.stdin.close()
        self.process.wait(30.0)
        return self.text()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def peer(secured, what, topic, count, *arguments, **options):
    return secured(sys.executable, PEER, what, topic, count, "--ros-args", *arguments, **options)


@pytest.fixture
def installed(secured):
    """Skips where the middleware cannot be secured, which a node says at its start."""
    first = peer(
        secured,
        "hear",
        "/dcfm/mask",
        0,
        "-r",
        "__ns:=/dcfm",
        "-r",
        "__node:=consumer",
        enclave="/dcfm/consumer",
    )
    if "security libraries" in first.finish():
        pytest.skip(first.text().strip())
    assert "heard {}" in first.text(), first.text()
    return Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros"


@pytest.mark.slow
def test_enforced_security_lets_the_enclaves_in_and_nobody_else(installed, secured, model):
    consumer = ("-r", "__ns:=/dcfm", "-r", "__node:=consumer")
    camera = secured(
        installed / "camera",
        "--ros-args",
        "-p",
        "source:=synthetic",
        "-p",
        "loop:=true",
        "-p",
        "size:=96x64",
        "-p",
        "rate:=20.0",
        enclave="/dcfm/camera",
    )
    segmenter = secured(
        installed / "segmenter",
        "--ros-args",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        enclave="/dcfm/segmenter",
    )
    heard = peer(secured, "hear", "/dcfm/mask", 100, *consumer, enclave="/dcfm/consumer")
    # Without keys: one that listens, one that sends images of its own.
    eavesdropper = peer(secured, "hear", "/dcfm/mask", 1)
    intruder = peer(secured, "say", "/camera/image_raw", 0)
    # With keys for other things: a camera that says masks, a consumer that hears images.
    forger = peer(secured, "say", "/dcfm/mask", 0, "-r", "__node:=camera", enclave="/dcfm/camera")
    curious = peer(secured, "hear", "/camera/image_raw", 1, *consumer, enclave="/dcfm/consumer")
    for one in (eavesdropper, intruder):
        one.says("ready")
    for one in (forger, curious):
        one.says("refused")
    frame_ids = heard.says("heard")
    assert INTRUDER not in frame_ids and "100" in frame_ids
    assert "heard {}" in eavesdropper.finish()
    assert "to 0" in intruder.finish()
    for node in (camera, segmenter):
        assert node.process.poll() is None, node.text()[-3000:]
