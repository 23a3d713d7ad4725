# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A backend that is swapped for its successor while frames come: none is lost, and features stay with what
made them."""

import gc
import threading
import weakref

import numpy as np
import pytest
from pipeline_helpers import CLASSES, SIZE, TIMEOUT_S, acquire, frame, in_thread, join, picture

from dcfm_ros.pipeline.backends.base import MasksOnHost
from dcfm_ros.pipeline.backends.hot_swap import BuildStopped, SwappingBackend
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig

OTHER_SIZE = (96, 64)


class Marked:
    """A feature that tells whose it is."""

    def __init__(self, owner, tag, size):
        self.owner, self.tag, self.size, self.nbytes = owner, tag, size, 8


class MarkedBackend(MasksOnHost):
    """Refuses features of others. Logits say whose common feature it is (0: none, 1: predecessor, 2:
    successor, ...). `decoded` notes (number of the image, numbers of its common features) of each mask,
    `motions` the maps of each."""

    device, precision, per_frame = "cpu", "f32", False

    def __init__(self, number, name="predecessor"):
        self.number, self.name = number, name
        self.prepared, self.decoded, self.motions = [], [], []
        self.used = threading.Semaphore(0)  # once for each decoded frame

    def prepare(self, size):
        self.prepared.append(size)

    def shallow(self, image):
        return Marked(self, int(image[0, 0, 0]), (image.shape[0] // 4, image.shape[1] // 4))

    def deep(self, shallow, between_slices=lambda: None):
        assert shallow.owner is self
        return Marked(self, shallow.tag, shallow.size)

    def decode(self, shallow, commons, motions=()):
        assert all(feature.owner is self and feature.size == shallow.size for feature in (shallow, *commons))
        self.decoded.append((shallow.tag, [common.tag for common in commons]))
        self.motions.append(list(motions))
        logits = np.zeros((CLASSES, *shallow.size), np.float32)
        logits[self.number] = len(commons)
        self.used.release()
        return logits


class HeldBuilder:
    """Builds when told to: `finish()` or `fail(error)`, one build each."""

    def __init__(self, cached=()):
        self.cached, self.built = dict(cached), []
        self.started = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self._outcomes, self._changed, self._stopped = [], threading.Condition(), False
        self.report = None

    def find(self, size):
        return self.cached.get(size)

    def build(self, size, report):
        self.built.append(size)
        self.report = report
        report("deep: 10 %")
        self.started.release()
        with self._changed:
            assert self._changed.wait_for(lambda: self._outcomes or self._stopped, TIMEOUT_S)
            if self._stopped:
                raise BuildStopped
            outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def finish(self, outcome):
        with self._changed:
            self._outcomes.append(outcome)
            self._changed.notify()

    def stop(self):
        with self._changed:
            self._stopped = True
            self._changed.notify()


class Swap:
    """A swapping backend with all that a test wants to look at."""

    def __init__(self, mode=Mode.ASYNC, max_interval=4, **options):
        self.builder, self.predecessors = HeldBuilder(**options), []
        self.backend = SwappingBackend("successor", "cuda", "f16", False, self.builder, self._predecessor)
        self.segmenter = Segmenter(
            self.backend,
            SIZE,
            PipelineConfig(
                mode=mode, scheduler=SchedulerConfig(min_interval=max_interval, max_interval=max_interval)
            ),
        )

    def _predecessor(self):
        self.predecessors.append(MarkedBackend(1))
        return self.predecessors[-1]

    def swap(self, size=SIZE, number=2):
        """Let the build end and wait until it has."""
        successor = MarkedBackend(number, "successor")
        self.end_build(successor, lambda: self.backend._sizes[size].successor is successor)
        return successor

    def end_build(self, outcome, until):
        self.builder.finish(outcome)
        changed = self.backend._changed
        with changed:
            assert changed.wait_for(until, TIMEOUT_S)

    def masks(self, tag, **fields):
        """(index, class everywhere in the mask) of what comes out."""
        found = self.segmenter.process(frame(tag, **fields))
        assert all((result.mask == result.mask[0, 0]).all() for result in found)
        return [(result.index, int(result.mask[0, 0])) for result in found]

    def close(self):
        self.segmenter.stop()
        self.backend.stop()


@pytest.fixture
def setup():
    made = []

    def make(**options):
        made.append(Swap(**options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_every_frame_has_its_mask_and_the_swap_is_between_frames(setup):
    with_two = setup(mode=Mode.SYNC)  # keyframes 0, 4, 8: in sync mode it is known which frame uses which
    classes = [with_two.masks(tag) for tag in range(6)]
    acquire(with_two.builder.started)
    assert classes == [[(tag, 1)] for tag in range(6)]
    successor = with_two.swap()
    classes = [with_two.masks(tag) for tag in range(6, 12)]
    # Frames 6 and 7 use the common feature of keyframe 4, which is the predecessor's; keyframe 8 ends this.
    assert classes == [[(6, 1)], [(7, 1)], [(8, 2)], [(9, 2)], [(10, 2)], [(11, 2)]]
    # their own S, made from their own image
    assert with_two.predecessors[0].decoded[-2:] == [(6, [4]), (7, [4])]
    assert successor.decoded == [(8, [8]), (9, [8]), (10, [8]), (11, [8])]
    assert with_two.builder.built == [SIZE] and len(with_two.predecessors) == 1


def test_each_camera_changes_with_its_own_keyframe(setup):
    both = setup(mode=Mode.SYNC)
    for tag in range(4):
        both.masks(tag, camera="left")
        if tag >= 2:  # two frames behind
            both.masks(tag, camera="right")
    acquire(both.builder.started)
    both.swap()
    left = [both.masks(tag, camera="left")[0][1] for tag in range(4, 8)]
    right = [both.masks(tag, camera="right")[0][1] for tag in range(4, 8)]
    assert (left, right) == ([2, 2, 2, 2], [1, 1, 2, 2])


def test_a_keyframe_under_way_at_the_swap_is_not_lost(setup):
    one = setup(mode=Mode.SYNC)
    for tag in range(4):
        one.masks(tag)
    acquire(one.builder.started)
    backend = one.backend
    old = backend.shallow(picture(50))
    successor = one.swap()
    common = backend.deep(old)  # goes on where it began
    fresh = backend.shallow(picture(51))
    assert common.backend is one.predecessors[0] and fresh.backend is successor
    mask, _ = backend.mask(fresh, [common], (32, 48))
    assert mask.shape == (32, 48) and (mask == 1).all()
    assert one.predecessors[0].decoded[-1] == (51, [50])


def test_two_keyframes_on_both_sides_of_the_swap(setup):
    """Mode two_sided: frames between them are decoded by both, each with its own features, and the logits
    added."""
    one = setup(mode=Mode.TWO_SIDED)
    found = [result for tag in range(6) for result in one.masks(tag)]
    assert found == [(tag, 1) for tag in range(5)]
    acquire(one.builder.started)
    old, successor = one.predecessors[0], one.swap()
    found = [result for tag in range(6, 10) for result in one.masks(tag)]
    assert [index for index, _ in found] == [5, 6, 7, 8]  # none lost, none twice
    assert [pair for pair in old.decoded if pair[0] in (5, 6, 7)] == [(5, [4]), (6, [4]), (7, [4])]
    assert successor.decoded == [(5, [8]), (6, [8]), (7, [8]), (8, [8])]
    # both sides are equally sure: the lowest class wins
    assert [number for _, number in found] == [1, 1, 1, 2]


@pytest.fixture
def both_sides(setup):
    """A swap that has happened, and a shallow feature with a common feature of each side."""
    one = setup(mode=Mode.SYNC)
    for tag in range(3):
        one.masks(tag)
    acquire(one.builder.started)
    before = one.backend.deep(one.backend.shallow(picture(1)))
    one.swap()
    shallow = one.backend.shallow(picture(3))
    return one.backend, shallow, before, one.backend.deep(one.backend.shallow(picture(2)))


def test_the_logits_of_both_are_added(both_sides):
    backend, shallow, *commons = both_sides
    logits = backend.decode(shallow, commons)
    assert logits.shape == (CLASSES, SIZE[0] // 4, SIZE[1] // 4)
    assert (logits[1] == 1).all() and (logits[2] == 1).all() and logits.sum() == 2 * logits[0].size


@pytest.mark.parametrize(
    "decode",
    [
        lambda backend, *features, motions: backend.decode(*features, motions),
        lambda backend, *features, motions: backend.mask(*features, SIZE, motions=motions),
        lambda backend, *features, motions: backend.mask(*features, SIZE, True, motions),
    ],
    ids=["decode", "mask", "confidence"],
)
def test_each_map_goes_with_its_feature(both_sides, decode):
    backend, shallow, before, after = both_sides
    old, successor = before.backend, after.backend
    here, there = (np.full((2, 3, 2), value, np.float32) for value in (1, 2))

    def given(made):
        return made.motions[-1] and [
            motion if motion is None else motion[0, 0, 0] for motion in made.motions[-1]
        ]

    for motions, wanted in (
        ([here, there], ([1], [2])),
        ([here, None], ([1], [None])),
        ([None, there], ([None], [2])),
    ):
        decode(backend, shallow, [before, after], motions=motions)
        assert (given(old), given(successor)) == wanted
    decode(backend, shallow, [after, after], motions=[there, here])
    decode(backend, shallow, [before], motions=[here])
    assert (given(old), given(successor)) == ([1], [2, 1])


@pytest.mark.slow
def test_the_predecessor_goes_with_its_last_feature(setup):
    one = setup(mode=Mode.SYNC)
    for tag in range(6):
        one.masks(tag)
    acquire(one.builder.started)
    one.swap()
    gone = weakref.ref(one.predecessors.pop())
    one.masks(6)
    gc.collect()
    assert gone() is not None
    assert one.backend.status()["in use until the next keyframe"] == "predecessor"
    one.masks(7), one.masks(8)
    one.masks(9), one.masks(12)
    gc.collect()
    assert gone() is None
    assert "in use until the next keyframe" not in one.backend.status()
    assert one.backend.shallow(picture(1)).image is None  # nothing is kept of images any more


def test_the_image_may_change_before_the_mask(setup):
    one = setup(mode=Mode.SYNC)
    for tag in range(4):
        one.masks(tag)
    acquire(one.builder.started)
    common = one.backend.deep(one.backend.shallow(picture(5)))
    one.swap()
    image = picture(6)
    shallow = one.backend.shallow(image)
    image[:] = 99
    one.backend.mask(shallow, [common], SIZE)
    assert one.predecessors[0].decoded[-1] == (6, [5])


def test_a_warm_up_starts_no_build(setup):
    one = setup()
    one.segmenter.prepare()
    assert one.builder.built == [] and one.predecessors[0].prepared == [SIZE]
    assert one.backend.status() == {"96x64": "no camera yet"}


def test_a_build_that_fails_leaves_all_as_it_is(setup, caplog):
    one = setup(mode=Mode.SYNC)
    for tag in range(4):
        one.masks(tag)
    acquire(one.builder.started)
    one.end_build(RuntimeError("no memory on the GPU"), lambda: one.backend._sizes[SIZE].error)
    assert [one.masks(tag)[0][1] for tag in range(4, 12)] == [1] * 8
    status = one.backend.status()
    assert (
        status["problem"] == "predecessor serves: successor is not available for 96x64: no memory on the GPU"
    )
    assert "predecessor keeps running for images of 96x64: no memory on the GPU" in caplog.text
    assert one.builder.built == [SIZE]  # not again and again


def test_a_failing_size_does_not_touch_others(setup):
    one = setup(mode=Mode.SYNC)
    for tag in range(4):
        one.masks(tag, camera="a")
    acquire(one.builder.started)
    one.end_build(RuntimeError("no"), lambda: one.backend._sizes[SIZE].error)
    for tag in range(4):
        one.masks(tag, camera="b", size=OTHER_SIZE)
    acquire(one.builder.started)
    one.swap(OTHER_SIZE)
    assert [one.masks(tag, camera="b", size=OTHER_SIZE)[0][1] for tag in range(4, 6)] == [2, 2]
    assert one.masks(4, camera="a") == [(4, 1)] and len(one.predecessors) == 1


def test_progress_is_in_the_status(setup):
    one = setup()
    for tag in range(4):
        one.masks(tag)
    acquire(one.builder.started)
    assert (
        one.backend.status()["state"] == "predecessor serves: successor is being built for 96x64: deep: 10 %"
    )
    one.builder.report("decoder: 90 %")
    assert one.backend.status()["96x64"] == "decoder: 90 %" and "problem" not in one.backend.status()
    one.swap()
    assert one.backend.status()["96x64"] == "successor"


def test_stop_while_building(setup):
    one = setup()
    for tag in range(4):
        one.masks(tag)
    acquire(one.builder.started)
    thread = one.backend._thread
    stopping, _ = in_thread(one.backend.stop)
    join(stopping)
    assert not thread.is_alive()
    assert one.masks(9)  # what serves goes on serving


def test_what_was_built_before_serves_from_the_first_frame_on(setup):
    successor = MarkedBackend(2, "successor")
    one = setup(mode=Mode.SYNC, cached={SIZE: successor})
    one.segmenter.prepare()
    assert [one.masks(tag)[0][1] for tag in range(3)] == [2, 2, 2]
    assert one.predecessors == [] and one.builder.built == []


def test_what_was_built_before_but_cannot_be_loaded(setup, caplog):
    one = setup(mode=Mode.SYNC)
    one.builder.find = lambda size: (_ for _ in ()).throw(RuntimeError("no memory on the GPU"))
    assert [one.masks(tag)[0][1] for tag in range(5)] == [1] * 5
    assert one.builder.built == [] and one.backend.status()["problem"].endswith(
        "is not available for 96x64: no memory on the GPU"
    )
    assert "no successor for images of 96x64: no memory on the GPU" in caplog.text


def test_without_a_predecessor_a_new_size_waits():
    builder = HeldBuilder()
    backend = SwappingBackend("successor", "cuda", "f16", False, builder)
    thread, result = in_thread(backend.shallow, picture(1))
    acquire(builder.started)
    successor = MarkedBackend(2, "successor")
    builder.finish(successor)
    join(thread)
    assert result[0].backend is successor and result[0].image is None
    builder.finish(RuntimeError("no kernel"))
    with pytest.raises(RuntimeError, match="no kernel"):
        backend.prepare(OTHER_SIZE)


def test_successors_have_a_bound(setup, monkeypatch, caplog):
    from dcfm_ros.pipeline.backends import hot_swap as swapping

    monkeypatch.setattr(swapping, "_MAX_SIZES", 1)
    one = setup(mode=Mode.SYNC)
    for size in (SIZE, OTHER_SIZE):
        for tag in range(4):
            one.masks(tag, camera=str(size), size=size)
    acquire(one.builder.started)
    assert one.builder.built == [SIZE]
    assert (
        "there are 1 other sizes already" in one.backend.status()["problem"]
        and "images of 64x96" in caplog.text
    )


def test_frames_go_on_while_the_swap_happens(setup):
    """Masks from one thread, deep paths from another, and the swap from a third at any moment."""
    one, results, enough = setup(max_interval=2), [], threading.Event()

    def drive():
        for tag in range(100_000):
            results.append(len(one.masks(tag % 100, stamp_ns=tag * 10**8)))
            if enough.is_set():
                return

    thread, _ = in_thread(drive)
    try:
        acquire(one.builder.started)
        successor = one.swap()
        for _ in range(10):
            acquire(successor.used)
    finally:
        enough.set()
        join(thread)
    assert results == [1] * len(results) and len(one.predecessors) == 1
