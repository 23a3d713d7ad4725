# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `segmenter`: connects parameters, the pipeline and the cameras' topics."""

from __future__ import annotations

import threading
import time

import cv2
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dcfm_ros.model.stored import StoredModel
from dcfm_ros.pipeline.frames import EncodeError, KeyframeEvent, PublishError, Segmentation, Wanted
from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.memory import settle_memory
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.topics import prefix_of
from dcfm_ros.ros import parameters, process
from dcfm_ros.ros.bond import ManagerBond
from dcfm_ros.ros.camera_outputs import CameraOutputs
from dcfm_ros.ros.camera_parameters import declare_camera_of, declare_cameras, read_cameras
from dcfm_ros.ros.camera_port import LOG_PERIOD_S, CameraPort
from dcfm_ros.ros.diagnostics import NodeState, TopicState
from dcfm_ros.ros.guarded_executor import GuardedExecutor
from dcfm_ros.ros.health import CameraHealth, Health, HealthReporter
from dcfm_ros.ros.latched import ClassTopics
from dcfm_ros.ros.names import PACKAGE_NAMESPACE
from dcfm_ros.ros.parameters import value_of
from dcfm_ros.ros.seldom import Seldom
from dcfm_ros.ros.shared_memory import ForeignUsers, room_for_images


class SegmenterNode(LifecycleNode):
    """Lifecycle node of the segmenter. Configure loads the model and creates publishers; activate subscribes;
    deactivate stops the mask thread."""

    def __init__(self, **node_options):
        super().__init__("segmenter", namespace=PACKAGE_NAMESPACE, **node_options)
        self._segmenter: Segmenter | None = None
        self._live: LiveSegmenter | None = None
        self._ports: dict[str, CameraPort] = {}
        self._class_topics: list[ClassTopics] = []
        self._outputs: parameters.OutputParameters  # once it is configured
        self._state, self._reached_s = "unconfigured", time.monotonic()
        self._refusal = ""  # why the last configure or activate failed
        self._bond = ManagerBond(self)
        self._users = ForeignUsers()
        self._said = Seldom(LOG_PERIOD_S)  # of images
        parameters.declare_segmenter(self)
        self.autostart = value_of(self, "autostart")
        self.add_pre_set_parameters_callback(self._declare_cameras_of)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self.create_service(Trigger, "request_keyframe", self._request_keyframe)
        self._health = HealthReporter(self, self._collect_health)
        self._answer_invalid_transitions()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._configure()
        except Exception as error:  # report any error of the settings and stay configurable
            self._unconfigure()
            return self._refuse(f"cannot configure: {error}")
        return self._reach("inactive")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            super().on_activate(state)
            self._activate()
        except Exception as error:  # same as in on_configure
            self.on_deactivate(state)
            return self._refuse(f"cannot activate: {error}")
        return self._reach("active")

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_live()
        super().on_deactivate(state)
        return self._reach("inactive")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._unconfigure()
        return self._reach("unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return self._reach("finalized")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.get_logger().error("a transition failed: back to unconfigured")
        self._unconfigure()
        return self._reach("unconfigured")

    def _reach(self, state: str) -> TransitionCallbackReturn:
        self._state, self._refusal, self._reached_s = state, "", time.monotonic()
        return TransitionCallbackReturn.SUCCESS

    def _refuse(self, reason: str) -> TransitionCallbackReturn:
        self._refusal = reason
        self.get_logger().error(reason)
        return TransitionCallbackReturn.FAILURE

    def destroy_node(self) -> None:
        self._release()
        super().destroy_node()
        # rclpy leaves this to the garbage collector; until then the node and its transition publisher stay in
        # the graph.
        self._state_machine = None

    def _configure(self) -> None:
        parameters.check_values(self)
        name = value_of(self, "model")
        cameras, config = read_cameras(self), parameters.read_pipeline(self)
        self._outputs = parameters.read_outputs(self)
        model = StoredModel(name)
        self._segmenter = Segmenter.of(
            model,
            value_of(self, "backend"),
            value_of(self, "device"),
            config,
            value_of(self, "precision"),
            live=True,
            class_map=value_of(self, "class_map"),
            on_keyframe=self._publish_keyframe,
            on_error=self._report,
            wanted=self._wanted,
        )
        self._segmenter.prepare()
        classes, binary_masks = self._segmenter.class_map, value_of(self, "binary_masks")
        assert classes is not None  # `Segmenter.of` sets it
        for camera in cameras:
            # registers the camera, so that diagnostics report its silence from the start
            self._segmenter.telemetry(camera.name)
            prefix = prefix_of(camera.name)
            outputs = CameraOutputs(self, prefix, classes, binary_masks)
            self._ports[camera.name] = CameraPort(
                self, camera, outputs, lambda: self._outputs, self._offer, self._skip, self._refuse_packet
            )
            self._class_topics.append(ClassTopics(self, prefix, name, classes.classes))
        backend = self._segmenter.backend
        self.get_logger().info(
            f"model {name} ({model.config.backbone}, {len(classes.classes)} classes, "
            f"{model.config.input_width}x{model.config.input_height}), "
            f"backend {backend.name} on {backend.device} ({backend.precision}), mode "
            f"{self._segmenter.config.mode.value}"
        )
        # for images of this size faster than several threads that compete for the engine's cores
        cv2.setNumThreads(1)
        settle_memory()
        if self._segmenter.per_frame:
            self.get_logger().info(
                "this model segments every frame on its own: mode and keyframe parameters have no effect"
            )

    def _activate(self) -> None:
        assert self._segmenter is not None  # the lifecycle activates only what is configured
        self._live = LiveSegmenter(
            self._segmenter, self._publish, waiting=self._segmenter.config.waiting_images
        )
        for topics in self._class_topics:
            topics.publish()
        for port in self._ports.values():
            port.subscribe()
        if value_of(self, "bond") and not self.autostart:
            self._bond.start()
        self.get_logger().info("active: " + ", ".join(f"{p.topic} -> masks" for p in self._ports.values()))

    def _stop_live(self) -> None:
        self._bond.stop()
        for port in self._ports.values():
            port.unsubscribe()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _unconfigure(self) -> None:
        self._release()
        settle_memory()

    def _release(self) -> None:
        if self._segmenter is not None:
            self._segmenter.end_encodes()  # the frame in progress does not wait for a complete deep path
        self._stop_live()
        if self._segmenter is not None:
            self._segmenter.stop()
            self._segmenter = None
        for port in self._ports.values():
            port.destroy()
        for topics in self._class_topics:
            topics.destroy()
        self._ports, self._class_topics = {}, []

    def _answer_invalid_transitions(self) -> None:
        """Answer requests for invalid transitions: rclpy would let the exception escape from spin() and leave
        the client waiting."""
        service = getattr(self, "_service_change_state", None)
        if service is None:
            return
        change = service.callback

        def guarded(request, response):
            try:
                return change(request, response)
            except Exception as error:
                self.get_logger().warning(
                    f"transition {request.transition.label or request.transition.id} refused: {error}"
                )
                response.success = False
                return response

        service.callback = guarded

    # On the executor's thread

    def _offer(self, camera: str, load) -> None:
        if self._live is not None:
            self._live.offer(camera, load)

    def _skip(self, camera: str, reason: str) -> None:
        if self._segmenter is not None:
            self._segmenter.telemetry(camera).skipped(reason)

    def _refuse_packet(self, camera: str, error: Exception) -> None:
        """Count and report a packet without a picture. Also called on video decoder threads."""
        if (segmenter := self._segmenter) is not None:
            segmenter.telemetry(camera).arrived(time.monotonic_ns())
            segmenter.report(camera, error)

    def _declare_cameras_of(self, changed: list[Parameter]) -> list[Parameter]:
        for parameter in changed:
            if self._segmenter is None and not self.has_parameter(parameter.name):
                declare_camera_of(self, parameter.name)
        return changed

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            parameters.check_change(self, changed, configured=self._segmenter is not None)
        except ValueError as error:
            for parameter in changed:  # rclpy has already stored the type of the refused value
                if self.has_parameter(parameter.name):
                    self.describe_parameter(parameter.name).type = self.get_parameter(
                        parameter.name
                    ).type_.value
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        if self._segmenter is None:  # the rest is read when the node is configured
            declare_cameras(self)
            return
        self._outputs = parameters.read_outputs(self)
        self._segmenter.reconfigure(parameters.read_scheduler(self))

    def _request_keyframe(self, request, response):
        response.success = self._state == "active"
        if response.success and self._segmenter is not None:
            self._segmenter.request_keyframe()
        response.message = (
            "the next frame of every camera is a keyframe"
            if response.success
            else f"{self._state}: only an active node has frames"
        )
        return response

    def _collect_health(self) -> Health:
        device = self.get_parameter("device").value
        if self._segmenter is None:
            return Health(self._node_state(), str(device), cameras=self._planned_cameras())
        config = self._segmenter.config
        node = self._node_state(
            max_interval=config.scheduler.max_interval,
            masks_wait=self._segmenter.masks_wait,
            min_mask_hz=value_of(self, "min_mask_hz"),
        )
        return Health(
            node,
            str(device),
            self._segmenter.backend_status(),
            [
                CameraHealth(status.camera, self._ports[status.camera].topic_state(), status)
                for status in self._segmenter.status()
                if status.camera in self._ports
            ],
        )

    def _node_state(self, **limits) -> NodeState:
        if isinstance(executor := self.executor, GuardedExecutor):
            limits |= {"callback_failures": executor.failures, "last_callback_failure": executor.last_failure}
        return NodeState(
            self.get_fully_qualified_name(),
            self._state,
            self._refusal,
            time.monotonic() - self._reached_s,
            other_users=self._users.hint,
            room=room_for_images,
            **limits,
        )

    def _planned_cameras(self) -> list[CameraHealth]:
        """Return the cameras of the parameters, so that diagnostics have the same names before the node is
        configured."""
        try:
            cameras = read_cameras(self)
        except ValueError:  # reported when the node is configured
            return []
        return [
            CameraHealth(camera.name, TopicState(self.resolve_topic_name(camera.image_topic)))
            for camera in cameras
        ]

    # On the mask thread

    def _publish(self, result: Segmentation) -> None:
        self._ports[result.frame.camera].publish(result, self._outputs)

    def _publish_keyframe(self, event: KeyframeEvent) -> None:
        self._ports[event.frame.camera].outputs.publish_keyframe(event)

    def _wanted(self, camera: str) -> Wanted:
        return self._ports[camera].outputs.wanted(self._outputs)

    def _report(self, camera: str, error: Exception) -> None:
        """Log what went wrong with an image. Also called on threads of video decoders and of masks."""
        kind = next((kind for kind in (EncodeError, PublishError) if isinstance(error, kind)), None)
        if not self._said.is_time((camera, kind)):
            return
        name, log = camera or "the camera", self._ports[camera].log
        if kind is EncodeError:
            log.error(f"no keyframe of {name}, masks continue with the old feature: {error}")
        elif kind is PublishError:
            log.warning(f"an output of {name} could not be published: {error}")
        else:
            log.warning(f"no mask for an image of {name}: {error}")


def main(arguments: list[str] | None = None) -> int:
    def begin(node: SegmenterNode, stop: threading.Event) -> None:
        if (
            node.autostart
            and node.trigger_configure() == TransitionCallbackReturn.SUCCESS
            and not stop.is_set()
        ):
            node.trigger_activate()

    process.run(SegmenterNode, arguments, begin)
    return 0
