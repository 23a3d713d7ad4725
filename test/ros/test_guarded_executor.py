# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor of the package's nodes goes on after an error."""

import pytest
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from ros_helpers import DEADLINE_S, NODE, Probe
from std_msgs.msg import String

from dcfm_ros.ros import guarded_executor
from dcfm_ros.ros.guarded_executor import GuardedExecutor


class Listener:
    """A node whose executor is guarded, with a publisher in another node of the same process."""

    def __init__(self, probe: Probe, error: type[Exception]):
        self.heard: list[str] = []
        self._error, self._probe = error, probe
        self.node = Node("listener", context=probe.context)
        self.executor = GuardedExecutor(context=probe.context)
        self.executor.add_node(self.node)
        self.publisher = probe.node.create_publisher(String, "/guarded/text", QoSProfile(depth=50))
        self.subscription = self.node.create_subscription(
            String, "/guarded/text", self._received, QoSProfile(depth=50)
        )
        probe.spin_until(lambda: self.publisher.get_subscription_count() == 1, "the subscription")

    def _received(self, message: String) -> None:
        if message.data == "bad":
            raise self._error(message.data)
        self.heard.append(message.data)

    def send(self, *texts: str) -> None:
        for text in texts:
            self.publisher.publish(String(data=text))

    def hears(self, *texts: str) -> bool:
        for _ in range(int(DEADLINE_S / 0.1)):
            if self.heard == list(texts):
                return True
            self.executor.spin_once(timeout_sec=0.1)
        return False

    def close(self) -> None:
        self.executor.shutdown()
        self._probe.node.destroy_publisher(self.publisher)
        self.node.destroy_node()


@pytest.fixture
def listener(probe):
    """Makes a listener that raises this error for the text "bad"."""
    made = []

    def make(error: type[Exception] = ValueError) -> Listener:
        made.append(Listener(probe, error))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_an_error_of_a_callback_is_counted_and_the_rest_is_served(listener):
    ours = listener()
    ours.send("one", "bad", "two")
    assert ours.hears("one", "two")
    assert (ours.executor.failures, ours.executor.last_failure) == (1, "ValueError: bad")


def test_what_cannot_be_taken_does_not_close_its_group(listener, monkeypatch):
    """In rclpy the group's callbacks would never be called again."""
    take, errors = SingleThreadedExecutor._take_subscription, [RuntimeError("damaged"), RuntimeError("again")]

    def failing(self, subscription):
        if errors and isinstance(self, GuardedExecutor):
            raise errors.pop()
        return take(self, subscription)

    monkeypatch.setattr(SingleThreadedExecutor, "_take_subscription", failing)
    ours = listener()
    ours.send("one")
    assert ours.hears("one")
    assert ours.executor.failures == 2 and not errors


def test_an_error_of_a_file_ends_it(listener):
    ours = listener(OSError)
    ours.send("bad")
    with pytest.raises(OSError, match="bad"):
        ours.hears("never")


def test_nothing_but_errors_end_it(listener, monkeypatch):
    monkeypatch.setattr(guarded_executor, "_GIVE_UP_S", -1.0)
    ours = listener()
    ours.send("bad")
    with pytest.raises(ValueError, match="bad"):
        ours.hears("never")


@pytest.mark.slow
def test_a_parameter_of_a_type_that_does_not_exist(camera, segmenter, probe):
    """It ends every node of rclpy."""
    client = probe.node.create_client(SetParameters, f"{NODE}/set_parameters")
    probe.spin_until(client.service_is_ready, "the service")
    said = segmenter.said()
    client.call_async(
        SetParameters.Request(parameters=[Parameter(name="threshold", value=ParameterValue(type=77))])
    )
    probe.spin_until(lambda: "77 is not a valid" in segmenter.text_since(said), "the line in the log")
    assert "the node goes on" in segmenter.text_since(said)
    camera.segment()
    probe.node.destroy_client(client)
    status = probe.diagnostic("cpu", lambda status: status.number("callback_failures") >= 1)
    assert "77 is not a valid" in status.values["last_callback_failure"]
