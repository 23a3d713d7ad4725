# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of frames from rendered street scenes."""

from __future__ import annotations

import math
import mmap
import os
from functools import cache
from multiprocessing import get_context

import cv2
import numpy as np

from dcfm_ros.sources.clips.synthetic import TERMS
from dcfm_ros.sources.synthetic.video import RESERVED_SEEDS, SHOT_S, SyntheticVideo
from dcfm_ros.training.group import cores
from dcfm_ros.training.pairs import DataError, Pair


class SyntheticPairs:
    """Two frames of one shot, uniformly 1 to `radius` apart, in either order; seeds reserved for evaluation
    are never used.

    Building a street takes longer than a training step may wait. So a fixed number of short clips is
    rendered, each on first use, and kept in memory: a few frames of each, among which every distance occurs
    (for radius 8 at 0, 1, 2, 5 and 8, 3.5 MB per clip). The memory is shared with processes forked later, so
    that the workers that prepare batches render each clip only once. Processes of a data-parallel group use
    disjoint clips.
    """

    def __init__(
        self,
        clips: int,
        radius: int,
        rank: int = 0,
        world: int = 1,
        neighbour_labels: bool = True,
        width: int = 480,
        height: int = 360,
        rate_hz: float = 15.0,
    ):
        if clips < world:
            raise DataError(f"{clips} synthetic clips: give at least one for each of {world} processes")
        if radius >= SHOT_S[0] * rate_hz:  # only long shots would do, or none at all
            raise DataError(
                f"radius {radius}: give less than {SHOT_S[0] * rate_hz:.0f}, the frames of a short synthetic "
                "shot"
            )
        self.name, self.terms = f"synthetic, {clips} clips", TERMS
        self.clips = range(rank, clips, world)
        self.radius, self.offsets = radius, sparse_ruler(radius)
        self.width, self.height, self.rate_hz = width, height, rate_hz
        self.neighbour_labels = neighbour_labels
        shape = (len(self.clips), len(self.offsets), height, width, 4)
        self._frames = _shared(shape, np.uint8)  # RGB and label side by side
        # number of the first frame + 1; 0: not rendered yet
        self._starts = _shared((len(self.clips),), np.int64)
        self._lock = get_context("fork").Lock()

    def pair(self, rng: np.random.Generator) -> Pair:
        number = int(rng.choice(self.clips))
        frames, start = self._clip(number)
        # draw the distance first, so that all are equally frequent
        choices = pairs_by_distance(self.radius)[int(rng.integers(self.radius))]
        first, second = rng.permutation(choices[int(rng.integers(len(choices)))]).tolist()
        names = f"frames {start + self.offsets[first]} and {start + self.offsets[second]}"
        image, label, neighbour, neighbour_label = *_split(frames[first]), *_split(frames[second])
        return Pair(
            image,
            label,
            neighbour,
            neighbour_label if self.neighbour_labels else None,
            f"synthetic seed {_seed(number)} {names}",
        )

    def load_into_memory(self) -> None:
        self._clip(self.clips[0])  # compile before forking, so that the processes need not
        numbers, fork = self.clips[1:], get_context("fork")
        workers = [
            fork.Process(target=self._render_some, args=(numbers[first :: cores()], os.getpid()), daemon=True)
            for first in range(min(cores(), len(numbers)))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failed := [worker.exitcode for worker in workers if worker.exitcode]:
            raise DataError(
                f"a process that renders synthetic clips ended with {failed[0]}: there may be too little "
                f"memory for {len(self.clips)} clips; lower `clips`"
            )

    def _render_some(self, numbers: range, parent: int) -> None:
        cv2.setNumThreads(0)
        for number in numbers:
            if os.getppid() != parent:  # the parent was killed
                return
            self._clip(number)

    def _clip(self, number: int) -> tuple[np.ndarray, int]:
        """Return the frames (offsets, H, W, 4) of a clip, and the number of its first frame in the video."""
        place = self.clips.index(number)
        with self._lock:
            start = int(self._starts[place]) - 1
        if start < 0:  # two workers may render at the same time; they write the same data
            start = self._render(number, self._frames[place])
            with self._lock:
                self._starts[place] = start + 1
        return self._frames[place], start

    def _render(self, number: int, frames: np.ndarray) -> int:
        """Render a clip within one shot, as there is no common feature across a hard cut. Return the number
        of its first frame."""
        rng = np.random.default_rng((number, 3))
        video = SyntheticVideo(_seed(number), self.width, self.height, self.rate_hz)
        last = self.offsets[-1]
        while True:
            start = int(rng.integers(int(40 * self.rate_hz)))
            if not any(start < cut <= start + last for cut in video.cut_frames(start + last + 1)):
                break
        for place, offset in zip(frames, self.offsets):
            frame = video.frame(start + offset)
            place[..., :3], place[..., 3] = frame.image, frame.label
        return start


@cache
def sparse_ruler(length: int) -> tuple[int, ...]:
    """Return a sparse ruler: about 2 sqrt(length) numbers from 0 to `length` whose differences include 1 to
    `length`.

    It consists of 0 to k - 1, and every k-th number from `length` down: the first part covers distances below
    k, both together all others.
    """
    rulers = ([*range(k), *sorted(range(length, k - 1, -k))] for k in range(1, math.isqrt(length) + 2))
    shortest: list[int] = min(rulers, key=len)
    return tuple(shortest)


@cache
def pairs_by_distance(length: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return, for each distance 1 to `length`, the pairs of positions in `sparse_ruler(length)` that far
    apart."""
    found = sparse_ruler(length)
    return tuple(
        tuple((i, j) for i in range(len(found)) for j in range(i) if found[i] - found[j] == distance)
        for distance in range(1, length + 1)
    )


def _shared(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Return zeros in memory shared with forked processes; pages are allocated on first write."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    try:
        return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)
    except (OSError, MemoryError) as error:
        raise DataError(
            f"no memory for {shape[0]} synthetic clips, {size / 1e9:.1f} GB: lower `clips`"
        ) from error


def _seed(number: int) -> int:
    return number % RESERVED_SEEDS.start


def _split(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(frame[..., :3]), np.ascontiguousarray(frame[..., 3])
