"""No mask waits for the deep path, however slow it is: an encode takes as long as ten frames, and one follows the other."""
import queue
import time

import pytest
from pipeline_helpers import SIZE, TIMEOUT_S, FakeBackend, frame

from dcfm_ros.pipeline.frames import PipelineConfig, SchedulerConfig, TurnTaking
from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.segmenter import Segmenter

PERIOD_S = 0.04
ENCODE_S = 10 * PERIOD_S
SLICES = 20
FRAMES = 60


class SlowBackend(FakeBackend):
    """Its deep path takes ENCODE_S, in slices."""

    def __init__(self, slices):
        super().__init__()
        self._slices = slices

    def deep(self, shallow, give_way=lambda: None):
        for _ in range(self._slices):
            give_way()
            time.sleep(ENCODE_S / self._slices)
        return super().deep(shallow)


@pytest.mark.parametrize("turns, slices", [
    (TurnTaking.SLICED, SLICES), (TurnTaking.CONCURRENT, SLICES), (TurnTaking.CONCURRENT, 1), (TurnTaking.SLICED, 1)])
def test_every_frame_gets_its_mask_and_no_latency_contains_the_encode(turns, slices):
    backend, masks, errors, events = SlowBackend(slices), queue.Queue(), [], []
    segmenter = Segmenter(backend, SIZE, PipelineConfig(scheduler=SchedulerConfig(1, 1), turns=turns), on_keyframe=events.append)
    live = LiveSegmenter(segmenter, masks.put, lambda *error: errors.append(error), waiting=3)
    try:
        live.offer("", lambda ns: frame(0, received_ns=ns))
        assert masks.get(timeout=TIMEOUT_S).index == 0  # the first alone waits for its common feature
        due = time.monotonic()
        for tag in range(1, FRAMES + 1):
            due += PERIOD_S
            time.sleep(max(0.0, due - time.monotonic()))  # a camera
            live.offer("", lambda ns, tag=tag: frame(tag % 100, received_ns=ns))
        made = [masks.get(timeout=TIMEOUT_S) for _ in range(FRAMES)]
    finally:
        live.stop()
        segmenter.stop()
    assert [mask.index for mask in made] == list(range(1, FRAMES + 1)) and not errors
    assert max(mask.latency_ms for mask in made) < 1e3 * ENCODE_S / 2
    assert len(events) >= 3                                       # neither does the deep path starve
    assert max(event.encode_ms for event in events) >= 1e3 * ENCODE_S


def test_an_encode_ends_with_its_slice_when_the_segmenter_stops():
    backend = SlowBackend(SLICES)
    segmenter = Segmenter(backend, SIZE, PipelineConfig(scheduler=SchedulerConfig(1, 1)))
    segmenter.process(frame(0))
    segmenter.process(frame(1))  # its encode has begun or will
    started = time.monotonic()
    segmenter.stop()
    assert time.monotonic() - started < ENCODE_S / 2 and backend.encoded == [0]
