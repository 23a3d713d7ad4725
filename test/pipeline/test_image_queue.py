# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that wait, with simulated time: whose turn it is under load, and what becomes of the rest."""

import itertools
from collections import Counter

import pytest
from pipeline_helpers import in_thread, join

from dcfm_ros.pipeline.image_queue import Arrival, ImageQueue
from dcfm_ros.pipeline.telemetry import CameraTelemetry

SECOND = 1_000_000_000


class Simulation:
    """Cameras with rates of their own, and a machine that makes `masks_per_s` masks a second."""

    def __init__(
        self, rates: dict[str, float], masks_per_s: float, waiting: int = 3, phase_ns: int = 7_000_003
    ):
        self.queue, self.most_waiting = ImageQueue(waiting), 0
        self.cameras = {camera: CameraTelemetry(camera, 0.3) for camera in rates}
        self.service_ns = round(SECOND / masks_per_s)
        self.arrivals = {
            camera: map(
                lambda n, number=number, rate=rate: round(n * SECOND / rate) + number * phase_ns,
                itertools.count(1),
            )
            for number, (camera, rate) in enumerate(rates.items())
        }
        self.next = {camera: next(times) for camera, times in self.arrivals.items()}

    def offer_until(self, now_ns):
        for _, camera in sorted((stamp_ns, camera) for camera, stamp_ns in self.next.items()):
            while self.next[camera] <= now_ns:
                self.queue.put(Arrival(self.cameras[camera], self.next[camera], None))
                self.next[camera] = next(self.arrivals[camera])
        self.most_waiting = max(self.most_waiting, len(self.queue))

    def run(self, seconds) -> dict[str, float]:
        """Masks per second of each camera."""
        now_ns, masks = 0, Counter()
        while now_ns < seconds * SECOND:
            if not len(self.queue):
                now_ns = max(now_ns, min(self.next.values()))
                self.offer_until(now_ns)
            masks[self.queue.take(blocked=()).camera] += 1
            now_ns += self.service_ns
            self.offer_until(now_ns)  # while it is in progress
        return {camera: masks[camera] / seconds for camera in self.next}


@pytest.mark.parametrize("waiting", [1, 3])
@pytest.mark.parametrize("masks_per_s", [20, 50, 70])
@pytest.mark.parametrize("phase_ns", [0, 7_000_003], ids=["synchronised", "not synchronised"])
def test_equal_rates_have_equal_masks_under_overload(masks_per_s, waiting, phase_ns):
    found = Simulation(
        dict(front=20.0, rear=20.0, left=20.0, right=20.0), masks_per_s, waiting, phase_ns
    ).run(60)
    assert max(found.values()) <= 1.05 * min(found.values())
    assert sum(found.values()) == pytest.approx(masks_per_s, rel=0.02)  # nothing is left unused


def test_all_masks_where_the_machine_is_fast_enough():
    rates = dict(front=30.0, rear=15.0, left=10.0, right=7.0)
    assert Simulation(rates, 70).run(60) == pytest.approx(rates, rel=0.02)


@pytest.mark.parametrize("waiting", [1, 3])
def test_what_slow_cameras_leave_goes_to_the_fast_ones(waiting):
    found = Simulation(dict(front=30.0, rear=30.0, left=10.0, right=4.0), 44, waiting).run(60)
    assert found == pytest.approx(dict(front=15.0, rear=15.0, left=10.0, right=4.0), rel=0.1)


def test_images_that_wait_are_bounded_and_drops_counted():
    simulation = Simulation(dict(front=300.0, rear=300.0, left=300.0, right=300.0), 40, waiting=3)
    found = simulation.run(10)
    assert simulation.most_waiting == 4 * 3
    for camera, telemetry in simulation.cameras.items():
        status = telemetry.status()
        assert status.received - status.dropped == pytest.approx(10 * found[camera] + 3)


def arrival(queue, camera, number=0):
    queue.put(Arrival(CameraTelemetry(camera, 0.3), number, None))


def test_blocked_cameras_are_passed_over():
    queue = ImageQueue(2)
    for camera, number in (("a", 1), ("b", 2), ("a", 3)):
        arrival(queue, camera, number)
    assert queue.take(blocked={"a"}).received_ns == 2
    assert [queue.take(blocked=()).received_ns for _ in range(2)] == [1, 3]


@pytest.mark.parametrize("end", [ImageQueue.wake, ImageQueue.close])
def test_taking_ends_when_woken_also_beforehand(end):
    for beforehand in (True, False):
        queue = ImageQueue(1)
        if beforehand:
            end(queue)
        taking, result = in_thread(queue.take, ())
        if not beforehand:
            end(queue)
        join(taking)
        assert result == [None]


def test_a_closed_queue_discards():
    queue, camera = ImageQueue(2), CameraTelemetry("a", 0.3)
    for _ in range(3):
        queue.put(Arrival(camera, 1, None))
    queue.close()
    queue.put(Arrival(camera, 1, None))
    status = camera.status()
    assert (status.received, status.dropped, status.discarded, len(queue)) == (4, 1, 3, 0)
    assert queue.take(()) is None and queue.is_closed
