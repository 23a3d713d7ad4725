# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The offline protocol: masks of labelled clips under many schedules at once, and how good they are.

Schedules share their work. A clip goes through frame by frame; a frame's mask depends on nothing but the
frame and the keyframes that serve it, so each such mask is made and counted once, however many schedules want
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dcfm_ros.evaluation.feature_store import FeatureStore
from dcfm_ros.evaluation.moved_logits import moved_logits
from dcfm_ros.evaluation.read_ahead import ClipReader, Picture, ahead
from dcfm_ros.evaluation.schedule import FLOW, LOGITS, NONE, Schedule, fixed_keyframes, phases, serving
from dcfm_ros.evaluation.scores import WINDOWS, Score
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.metrics.consistency import RunLengths, steady_share
from dcfm_ros.model.class_map import ClassMap
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.scheduler import KeyframeScheduler
from dcfm_ros.pipeline.settings import Alignment, SchedulerConfig

if TYPE_CHECKING:
    from dcfm_ros.sources.clips import Clip


@dataclass(frozen=True)
class Network:
    """What is evaluated."""

    backend: Backend
    size: tuple[int, int]  # (height, width), the pixel budget of its input
    class_map: ClassMap  # of masks and labels, before they are compared
    shallow_on: str = "all"  # frames whose S is used: all, or, in ablations, nonkey or key
    exact_size: bool = False  # is every input of just that size?

    @property
    def classes(self) -> int:
        return len(self.class_map.classes)

    def mask(
        self,
        store: FeatureStore,
        frame: int,
        keyframes: tuple[int, ...],
        size: tuple[int, int],
        alignment: str = NONE,
    ) -> np.ndarray:
        """The mask (H, W) uint8 of a frame from the common features of one or two keyframes, or their logits;
        its values are indices of the class map's classes.

        A frame that is served by itself alone is in the role of a keyframe; any other is not, keyframe or no.
        """
        if alignment == LOGITS:
            return self.class_map.indices(
                upsampled_argmax(
                    moved_logits((store.logits(k), store.motion(frame, k)) for k in keyframes), size
                )
            )
        shallow = store.shallow(frame)
        if self.shallow_on == ("nonkey" if keyframes == (frame,) else "key"):
            shallow = shallow * 0
        motions = [store.motion(frame, k) for k in keyframes] if alignment == FLOW else ()
        return self.class_map.indices(
            self.backend.mask(shallow, [store.common(k) for k in keyframes], size, motions=motions)[0]
        )


@dataclass
class Results:
    """Scores are in the order of the schedules. by_age[alignment][a] counts frames served by the frame `a`
    before them: the `aged_frames` labelled frames that have a frame at the greatest age, so that the ages
    compare."""

    scores: list[Score]
    by_age: dict[str, list[ConfusionMatrix]]
    aged_frames: int = 0


@dataclass
class _Course:
    """A schedule on one clip, in one phase."""

    score: Score
    keyframes: Sequence[int]

    def __post_init__(self):
        self._is_keyframe = frozenset(self.keyframes)

    def serving(self, frame: int) -> tuple[int, ...]:
        return serving(self.score.schedule, self.keyframes, frame)

    @property
    def too_soon(self) -> int:
        """Keyframes that come before the one before them serves. The clip's first serves at once."""
        later = self.keyframes[1:]
        return sum(second - first < self.score.schedule.delay for first, second in zip(later, later[1:]))

    def add(self, frame: int, counts: ConfusionMatrix) -> None:
        self.score.add(counts, frame in self._is_keyframe)


class _Plan(NamedTuple):
    """A clip, what is known before its images are read, and which of these are needed."""

    reader: ClipReader
    courses: list[_Course]  # those with fixed intervals
    frames: Sequence[int]


@dataclass(frozen=True)
class Protocol:
    """How clips are evaluated.

    scheduler: of AKS; each AKS schedule puts its own threshold into it, and its alignment decides on the
        score
    max_age: greatest age of the common feature in the curve, frames; None for no curve
    memory_bytes: for what is kept of a clip
    """

    schedules: Sequence[Schedule]
    scheduler: SchedulerConfig = SchedulerConfig()
    max_age: int | None = None
    memory_bytes: int = 4 << 30

    def run(
        self, network: Network, clips: Sequence[Clip], on_frame: Callable[[], object] = lambda: None
    ) -> Results:
        """Evaluate all labelled frames; `on_frame` is called after each. Clips without labels are left
        out."""
        results = Results(
            [Score(schedule, network.classes) for schedule in self.schedules],
            {way: [ConfusionMatrix(network.classes) for _ in self._ages] for way in self._alignments},
        )
        plans = [
            self._plan(results, network, clip, number, len(clips))
            for number, clip in enumerate(clips)
            if len(clip.labelled)
        ]
        reads = (plan.reader(index) for plan in plans for index in plan.frames)
        with closing(ahead(reads)) as pictures:
            for plan in plans:
                self._run_clip(results, network, plan, pictures, on_frame)
        return results

    def _plan(self, results: Results, network: Network, clip: Clip, number: int, clips: int) -> _Plan:
        fixed = [
            (score, interval) for score in results.scores if (interval := score.schedule.interval) is not None
        ]
        courses = [
            _Course(score, fixed_keyframes(clip.length, score.schedule.mode, interval, phase))
            for score, interval in fixed
            for phase in phases(interval, number, clips)
        ]
        frames: Sequence[int]
        if len(fixed) < len(results.scores):
            frames = range(clip.length)  # AKS looks at every image
        else:
            needed = set(clip.labelled)
            for frame in clip.labelled:
                serving = {frame}.union(*(course.serving(frame) for course in courses), *self._aged(frame))
                needed.update(range(min(serving), max(serving) + 1) if self._moves else serving)
            frames = sorted(needed)
        return _Plan(ClipReader(clip, network.size, exact=network.exact_size), courses, frames)

    def _run_clip(
        self,
        results: Results,
        network: Network,
        plan: _Plan,
        pictures: Iterator[Picture],
        on_frame: Callable[[], object],
    ) -> None:
        clip = plan.reader.clip
        store = FeatureStore(network.backend, plan.reader, self.memory_bytes, self._moves)
        courses = plan.courses + self._adaptive_courses(results, plan, pictures, store)
        for course in courses:
            course.score.frames += clip.length
            course.score.keyframes += len(course.keyframes)
            course.score.keyframes_too_soon += course.too_soon
        runs, label_runs = [RunLengths(max(WINDOWS)) for _ in courses], RunLengths(max(WINDOWS))
        whole = len(clip.labelled) == clip.length  # consistency is of consecutive frames
        for frame in clip.labelled:
            masks = _MasksOfFrame(network, store, frame, clip.name)
            for course in courses:
                course.add(frame, masks.counts(course.serving(frame), course.score.schedule.alignment))
            aged = self._aged(frame)
            for way, matrices in results.by_age.items():
                for matrix, keyframe in zip(matrices, aged):
                    matrix.merge(masks.counts(keyframe, way))
            results.aged_frames += bool(aged)
            if whole and frame < clip.length - 1:  # the published numbers leave the last window out
                label_runs.add(masks.label)
                for course, mask_runs in zip(courses, runs):
                    mask_runs.add(masks.mask(course.serving(frame), course.score.schedule.alignment))
                    for n in WINDOWS:
                        if frame >= n - 1:
                            course.score.windows[n].append(steady_share(mask_runs, label_runs, n))
            on_frame()

    def _adaptive_courses(
        self, results: Results, plan: _Plan, pictures: Iterator[Picture], store: FeatureStore
    ) -> list[_Course]:
        """Take the clip's pictures into the store; on the way the live scheduler chooses keyframes."""
        scores = [score for score in results.scores if score.schedule.threshold is not None]
        schedulers = {rule: self._scheduler(*rule) for rule in {_rule(score.schedule) for score in scores}}
        keyframes: dict[tuple[float, bool], list[int]] = {rule: [] for rule in schedulers}
        motion = MotionTrack() if any(moves for _, moves in schedulers) else None
        size = None
        for index in plan.frames:
            picture = next(pictures)
            if size not in (None, picture.image.shape):
                raise ValueError(
                    f"{plan.reader.clip.name}: frame {index} is not of the size of the frames before it; "
                    "the frames of a clip need one size"
                )
            size = picture.image.shape
            store.put(index, picture)
            if motion is not None:
                motion.add(picture.image, index, {scheduler.keyframe for scheduler in schedulers.values()})
            for rule, scheduler in schedulers.items():
                if scheduler.evaluate_and_start(picture.image, index, motion).reason is not None:
                    keyframes[rule].append(index)
        return [_Course(score, keyframes[_rule(score.schedule)]) for score in scores]

    def _scheduler(self, threshold: float, moves: bool) -> KeyframeScheduler:
        config = self.scheduler.resolved(Alignment.FLOW if moves else Alignment.NONE)
        return KeyframeScheduler(replace(config, threshold=threshold))

    @property
    def _alignments(self) -> list[str]:
        return list(dict.fromkeys(schedule.alignment for schedule in self.schedules))

    @property
    def _moves(self) -> bool:
        return any(schedule.moves for schedule in self.schedules)

    @property
    def _ages(self) -> range:
        return range(0 if self.max_age is None else self.max_age + 1)

    def _aged(self, frame: int) -> list[tuple[int, ...]]:
        """What serves a frame at each age; empty for frames that cannot have all ages."""
        return (
            [(frame - age,) for age in self._ages]
            if self.max_age is not None and frame >= self.max_age
            else []
        )


class _MasksOfFrame:
    """The masks of one labelled frame, by the keyframes that serve it, with their counts."""

    def __init__(self, network: Network, store: FeatureStore, frame: int, clip_name: str):
        self._network, self._store, self._frame = network, store, frame
        try:
            self.label = network.class_map.indices(store.label(frame))
        except ValueError as error:
            raise ValueError(f"{clip_name}, frame {frame}: label {error}") from error
        self._made: dict[tuple[tuple[int, ...], str], tuple[np.ndarray, ConfusionMatrix]] = {}

    def mask(self, keyframes: tuple[int, ...], alignment: str) -> np.ndarray:
        return self._get(keyframes, alignment)[0]

    def counts(self, keyframes: tuple[int, ...], alignment: str) -> ConfusionMatrix:
        return self._get(keyframes, alignment)[1]

    def _get(self, keyframes: tuple[int, ...], alignment: str) -> tuple[np.ndarray, ConfusionMatrix]:
        key = keyframes, NONE if keyframes == (self._frame,) else alignment  # of itself all are the same
        if key not in self._made:
            mask = self._network.mask(self._store, self._frame, keyframes, self.label.shape, key[1])
            counts = ConfusionMatrix(self._network.classes)
            counts.add(mask, self.label)
            self._made[key] = mask, counts
        return self._made[key]


def _rule(schedule: Schedule) -> tuple[float, bool]:
    """Which frames AKS makes keyframes: schedules alike in this share them."""
    assert schedule.threshold is not None
    return schedule.threshold, schedule.moves
