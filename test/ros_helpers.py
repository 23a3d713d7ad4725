# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of the ROS layer: nodes in separate processes, and a probe that talks to them over
DDS.

Nothing here sleeps to wait for something: the probe spins until a condition holds, and fails at a generous
deadline.
"""

from __future__ import annotations

import array
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import rclpy
from ament_index_python.packages import get_package_prefix
from builtin_interfaces.msg import Time
from command_server import ForkedCommand
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dcfm_ros.msg import KeyframeEvent, MaskInfo
from dcfm_ros.pipeline import topics
from dcfm_ros.pipeline.telemetry import ENDS
from dcfm_ros.stamps import stamp_ns

DEADLINE_S = 90.0  # of everything that is waited for; the machine may be busy with other things
PERIOD_NS = 40_000_000  # between the stamps of a camera's images
OTHER_CLOCK_NS = 3600 * 10**9  # a report with an older stamp has it from another clock than ours
NODE = "/dcfm/segmenter"
# Topics of a camera without a name.
OUTPUTS = {f"/dcfm/{name}" for name in topics.OUTPUTS if name != "label_info"}  # vision_msgs may not be there
# Every parameter that a test may change, as the tests begin. The thresholds let only the intervals and
# requests choose keyframes.
DEFAULTS = {
    "backend": "torch",
    "device": "cpu",
    "mode": "async",
    "alignment": "flow",
    "aks_score": "auto",
    "silence_s": 1000.0,
    "image_topic": "/camera/image_raw",
    "image_transport": "auto",
    "min_interval": 2,
    "max_interval": 1000,
    "threshold": 10.0,
    "cut_threshold": 10.0,
    "threshold_rule": "fixed",
    "encoder_share": 0.8,
    "keyframe_budget_hz": 0.0,
    "outputs": list(topics.SWITCHED),
    "overlay_alpha": 0.5,
    "jpeg_quality": 85,
    "min_mask_hz": 0.0,
    "probabilities_type": "8U",
    "lazy": False,
    "max_rate": 0.0,
    "mask_size": "",
    "class_map": "",
    "binary_masks": [""],
    "camera_info_topic": "",
}
_PIXEL_BYTES = {"bgr8": 3, "rgb8": 3, "mono8": 1, "bgra8": 4, "rgba8": 4, "mono16": 2, "yuv422_yuy2": 2}


class Process:
    """A command of the package in a process of its own, its output in a file.

    installed: the one that is installed, not a fork of what is imported already (command_server.py)
    """

    def __init__(self, command: str, log: Path, *ros_arguments: str, installed: bool = False):
        self.log = log
        arguments = ["--ros-args", *ros_arguments]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_LOGGING_BUFFERED_STREAM": "0"}
        with log.open("w") as output:
            if installed:
                executable = str(Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros" / command)
                self._process = subprocess.Popen(
                    [executable, *arguments], stdout=output, stderr=subprocess.STDOUT, env=environment
                )
            else:
                self._process = ForkedCommand(command, arguments, str(log), environment)

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """The exit status."""
        return self._process.wait(timeout_s)

    def wait_for_text(self, text: str, since: int = 0) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            running = self.running()  # asked first: what it says before its end is in the text then
            if text in self.text()[since:]:
                return
            assert running, (
                f"ended with {self._process.returncode} instead of saying {text!r}:\n{self.text()}"
            )
            assert time.monotonic() < deadline, f"did not say {text!r}:\n{self.text()}"
            time.sleep(0.05)  # between two looks into a file; nothing depends on its length

    def stop(self) -> int:
        """End it as Ctrl-C does; a process that will not end is killed, and the test fails."""
        if self.running():
            self.signal(signal.SIGINT)
        try:
            return self.wait(30.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"did not end within 30 s of SIGINT:\n{self.text()[-3000:]}") from None


def segmenter_arguments(namespace: str, model, *more: str) -> list[str]:
    """Of a segmenter in a namespace of its own, which takes images from NAMESPACE/image."""
    values = {"model": model, "backend": "torch", "image_topic": f"{namespace}/image"}
    parameters = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
    return ["-r", f"__ns:={namespace}", *parameters, *more]


class Collected(list):
    """The messages of one topic, in order of arrival."""

    subscription = None


class Probe:
    """A node, spun by the test itself.

    context: of another probe, whose DDS participant this one shares; None: a new participant. Until two of
    these know each other, three seconds may pass.
    """

    def __init__(self, name: str = "probe", context: Context | None = None):
        self._owns_context = context is None
        self.context = Context() if context is None else context
        if self._owns_context:
            rclpy.init(context=self.context)
        self.node = Node(name, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._clients: dict[str, object] = {}
        self._diagnostics: Collected | None = None

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        if self._owns_context:
            self.context.try_shutdown()

    def add(self, node: Node) -> None:
        """Spin another node of this context, too."""
        self._executor.add_node(node)

    def remove(self, node: Node) -> None:
        self._executor.remove_node(node)

    # Topics

    def collect(self, kind, topic: str, qos: QoSProfile | int = 50) -> Collected:
        collected = Collected()
        collected.subscription = self.node.create_subscription(kind, topic, collected.append, qos)
        return collected

    def drop(self, collected: Collected) -> None:
        self.node.destroy_subscription(collected.subscription)

    def publisher(self, kind, topic: str, reliable: bool = False, depth: int = 20):
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return self.node.create_publisher(kind, topic, QoSProfile(depth=depth, reliability=policy))

    def spin_until(self, condition: Callable[[], object], what: str = "it", timeout_s: float = DEADLINE_S):
        """The condition's value as soon as it is true. `what` names what is missing at the deadline."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
            self._executor.spin_once(timeout_sec=0.05)
        return value

    def publishers(self, prefix: str = "/dcfm/") -> Counter[str]:
        """How many publishers each topic has, as far as they are known here by now: facts of the graph come
        one by one, so that tests wait for what they expect."""
        topics = [topic for topic, _ in self.node.get_topic_names_and_types() if topic.startswith(prefix)]
        return Counter({topic: self.node.count_publishers(topic) for topic in topics})

    # Services

    def call(self, kind, service: str, request, retry_s: float = 5.0):
        """The answer of a service. A request is repeated when its answer is lost, as a server's first to a
        new client can be."""
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self.node.create_client(kind, service)
        return self.answer(client, request, retry_s)

    def meet(self, node: str) -> None:
        """Wait until a lifecycle node knows every subscription that was made here before.

        A server answers a client only when it knows the client's subscription of answers, and of
        subscriptions DDS tells in the order of their creation.
        """
        client = self.node.create_client(GetState, f"{node}/get_state")
        self.answer(client, GetState.Request(), retry_s=1.0)
        self.node.destroy_client(client)

    def answer(self, client, request, retry_s: float = 5.0):
        """The same, by a client of one's own."""
        service = client.srv_name
        self.spin_until(client.service_is_ready, f"service {service}")
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            future = client.call_async(request)
            due = min(deadline, time.monotonic() + retry_s)
            self.spin_until(lambda: future.done() or time.monotonic() > due, f"an answer of {service}")
            if future.done():
                return future.result()
            client.remove_pending_request(future)
        raise AssertionError(f"{service} gave no answer within {DEADLINE_S:g} s")

    def change(self, transition: str, node: str = NODE) -> bool:
        """Ask for a lifecycle transition by its label."""
        return self.transition(Transition(label=transition), node)

    def transition(self, transition: Transition, node: str = NODE) -> bool:
        service = f"{node}/change_state"
        if (
            service not in self._clients
        ):  # repeating this one does no harm; once it is answered, others will be
            self.call(ChangeState, service, ChangeState.Request(transition=Transition(label="none such")))
        return self.call(
            ChangeState, service, ChangeState.Request(transition=transition), retry_s=DEADLINE_S
        ).success

    def state(self, node: str = NODE) -> str:
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label

    def set(self, node: str = NODE, **values) -> str:
        """Set parameters all at once; the reason of a refusal, "" for success. Names with dots come in a
        dictionary `named`."""
        values = {**values.pop("named", {}), **values}
        messages = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        result = self.call(
            SetParametersAtomically,
            f"{node}/set_parameters_atomically",
            SetParametersAtomically.Request(parameters=messages),
        ).result
        assert result.successful or result.reason, "refused without a reason"
        return "" if result.successful else result.reason

    def set_messages(self, messages, node: str = NODE):
        return self.call(
            SetParameters, f"{node}/set_parameters", SetParameters.Request(parameters=messages)
        ).results

    # Diagnostics

    def arrays(self) -> Collected:
        if self._diagnostics is None:
            self._diagnostics = self.collect(DiagnosticArray, "/diagnostics")
        return self._diagnostics

    def diagnostic(
        self, topic: str, until: Callable[[Diagnostic], object] = lambda status: True
    ) -> Diagnostic:
        """The first status of a camera, by its image topic, for which `until` holds.

        It is made from now on: what was made before may still be under way, and is passed over. (Not if a
        node's clock is that of a recording or stands still: then tests put all they expect into `until`.)
        """
        arrays, now_ns = self.arrays(), time.time_ns()
        arrays.clear()

        def found():
            while arrays:
                report = arrays.pop(0)
                if 0 < now_ns - stamp_ns(report.header.stamp) < OTHER_CLOCK_NS:
                    continue
                for status in report.status:
                    if status.hardware_id == topic and until(Diagnostic(status)):
                        return Diagnostic(status)
            return None

        return self.spin_until(found, f"such a diagnostic of {topic}")


class Diagnostic:
    def __init__(self, status):
        self.level, self.message, self.name = status.level, status.message, status.name
        self.values = {item.key: item.value for item in status.values}

    def number(self, key: str) -> float:
        return float(self.values.get(key, "0"))

    def ended(self) -> float:
        """Of how many images of a camera it says what became of them, after they had arrived."""
        refused = (float(value) for key, value in self.values.items() if key.startswith("refused_"))
        return sum(refused) + sum(map(self.number, ENDS))


class Camera:
    """Publishes images with stamps PERIOD_NS apart and collects what the segmenter sends under `prefix`."""

    def __init__(
        self,
        probe: Probe,
        topic: str = "/camera/image_raw",
        prefix: str = "/dcfm",
        kind=Image,
        reliable: bool = False,
        frame_id: str = "optical_frame",
        stamp_ns: int = 1_700_000_000_123_456_789,
    ):
        self.probe, self.topic, self.prefix, self.kind = probe, topic, prefix, kind
        self.frame_id, self.stamp_ns = frame_id, stamp_ns
        self.masks = probe.collect(Image, f"{prefix}/mask")
        self.infos = probe.collect(MaskInfo, f"{prefix}/mask_info")
        self.keyframes = probe.collect(KeyframeEvent, f"{prefix}/keyframe")
        self.publisher = probe.publisher(kind, topic, reliable)

    def close(self) -> None:
        for collected in (self.masks, self.infos, self.keyframes):
            self.probe.drop(collected)
        self.probe.node.destroy_publisher(self.publisher)

    def connect(self) -> Camera:
        """Wait until both ends know each other, in both directions.

        That the segmenter knows the publisher it says in its diagnostics. That it knows the subscriptions,
        too, does not follow from that: DDS tells of them beside the publishers, under load tens of
        milliseconds later.
        """
        self.probe.spin_until(
            lambda: self.publisher.get_subscription_count() > 0, f"a subscription of {self.topic}"
        )
        for collected in (self.masks, self.infos, self.keyframes):
            topic = collected.subscription.topic_name
            self.probe.spin_until(
                lambda: self.probe.node.count_publishers(topic) > 0, f"a publisher of {topic}"
            )
        status = self.probe.diagnostic(
            self.topic,
            lambda status: "received" in status.values and not status.message.startswith("no publisher"),
        )
        self.probe.meet(status.name.partition(": ")[0])
        return self

    def header(self) -> Header:
        self.stamp_ns += PERIOD_NS
        return Header(
            stamp=Time(sec=self.stamp_ns // 10**9, nanosec=self.stamp_ns % 10**9), frame_id=self.frame_id
        )

    def image(
        self, width: int = 96, height: int = 64, encoding: str = "bgr8", padding: int = 0, seed: int = 0
    ) -> Image | CompressedImage:
        """The next image: see `picture`."""
        channels = _PIXEL_BYTES[encoding]
        values = picture(width, height, channels, seed)
        header = self.header()
        if self.kind is CompressedImage:
            data = cv2.imencode(".jpg", values)[1].tobytes()
            return CompressedImage(
                header=header, format="bgr8; jpeg compressed bgr8", data=array.array("B", data)
            )
        if encoding == "yuv422_yuy2":
            values[..., 1] = 128
        rows = np.pad(values.reshape(height, -1), ((0, 0), (0, padding)), constant_values=7)
        return Image(
            header=header,
            width=width,
            height=height,
            encoding=encoding,
            step=rows.shape[1],
            data=array.array("B", rows.tobytes()),
        )

    def send(self, message=None, **image_arguments):
        """Publish an image, by default the next one, without waiting for its mask."""
        message = self.image(**image_arguments) if message is None else message
        self.publisher.publish(message)
        return message

    def answer(self, message) -> tuple[Image, MaskInfo]:
        """The mask of a sent image and what is said about it."""
        mask = self.probe.spin_until(lambda: of(self.masks, message), f"the mask of {message.header.stamp}")
        info = self.probe.spin_until(
            lambda: of(self.infos, message), f"the mask_info of {message.header.stamp}"
        )
        return mask, info

    def segment(self, message=None, **image_arguments) -> tuple[Image, MaskInfo]:
        return self.answer(self.send(message, **image_arguments))

    def has_mask(self, message) -> bool:
        return of(self.masks, message) is not None


def picture(width: int, height: int, channels: int, seed: int) -> np.ndarray:
    """(H, W, channels) uint8: a grey chequerboard with coloured noise, which the seed chooses. AKS scores
    between two of the same size are about 0.4; none is a hard cut after another, whatever the encoding."""
    y, x = np.mgrid[0:height, 0:width]
    board = 60 + 130 * ((x * 6 // width + y * 4 // height) % 2)
    noise = np.random.default_rng(seed).integers(-40, 41, (height, width, channels))
    return (board[..., None] + noise).astype(np.uint8)


def of(messages: list, image):
    """The message that has the stamp of an image; None if there is none yet."""
    return next((message for message in messages if message.header.stamp == image.header.stamp), None)


def pixels(mask: Image) -> np.ndarray:
    """(H, W) uint8 of a mask message."""
    return np.frombuffer(mask.data, np.uint8).reshape(mask.height, mask.width)


def check_mask(mask: Image, image, width: int, height: int, classes: int) -> None:
    """A mask that belongs to an image: header, size, encoding, values."""
    assert mask.header == image.header
    assert (mask.encoding, mask.width, mask.height, mask.step) == ("mono8", width, height, width)
    assert len(mask.data) == width * height and max(mask.data) < classes


class Segmenter:
    """The segmenter's process, which many tests use one after the other, each with settings of its own."""

    def __init__(self, process: Process, probe: Probe, defaults: dict):
        self.process, self.probe, self._defaults = process, probe, defaults

    def start(self, **parameters) -> None:
        """A fresh start with these parameters; all others are as at the beginning of the session."""
        self.reset()
        assert self.probe.set(**{**self._defaults, **parameters}) == ""
        assert self.probe.change("configure"), self.process.text()[-2000:]
        assert self.probe.change("activate"), self.process.text()[-2000:]

    def reset(self) -> None:
        """Bring the node to unconfigured, from any state."""
        if self.probe.state() == "active":
            assert self.probe.change("deactivate")
        if self.probe.state() == "inactive":
            assert self.probe.change("cleanup")
        assert self.probe.state() == "unconfigured"

    def said(self) -> int:
        """Length of the log so far, for `text_since`."""
        return len(self.process.text())

    def text_since(self, position: int) -> str:
        return self.process.text()[position:]
