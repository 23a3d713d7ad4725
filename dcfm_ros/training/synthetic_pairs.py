# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of truly adjacent frames of rendered street scenes."""

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
    """Frames of one shot, evenly 1 to `radius` apart, either way; the seeds reserved for evaluation are never
    drawn.

    Building a street takes longer than a training step should wait, so a fixed number of short clips is
    rendered, each when it is first drawn, and kept in memory: few frames of each, at which every distance
    occurs (for radius 8 at 0, 1, 2, 5 and 8, 3.5 MB a clip). The memory is shared with processes that are
    forked later, so the workers that prepare batches render a clip once between them. Processes of a
    data-parallel group draw from disjoint clips.
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
        if radius >= SHOT_S[0] * rate_hz:  # no shot but a long one would do, or none at all
            raise DataError(
                f"radius {radius}: give less than {SHOT_S[0] * rate_hz:.0f}, the frames of a short synthetic "
                "shot"
            )
        self.name, self.terms = f"synthetic, {clips} clips", TERMS
        self.clips = range(rank, clips, world)
        self.radius, self.offsets = radius, marks(radius)
        self.width, self.height, self.rate_hz = width, height, rate_hz
        self.neighbour_labels = neighbour_labels
        shape = (len(self.clips), len(self.offsets), height, width, 4)
        self._frames = _shared(shape, np.uint8)  # RGB and label side by side
        self._starts = _shared(
            (len(self.clips),), np.int64
        )  # number of the first frame + 1; 0: not rendered yet
        self._lock = get_context("fork").Lock()

    def pair(self, rng: np.random.Generator) -> Pair:
        number = int(rng.choice(self.clips))
        frames, start = self._clip(number)
        choices = pairs_apart(self.radius)[
            int(rng.integers(self.radius))
        ]  # the distance first: all are as frequent
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

    def bring_to_memory(self) -> None:
        self._clip(self.clips[0])  # compiles what the processes then have
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
                f"memory "
                f"for {len(self.clips)} clips; lower `clips`"
            )

    def _render_some(self, numbers: range, parent: int) -> None:
        cv2.setNumThreads(0)
        for number in numbers:
            if os.getppid() != parent:  # it was killed
                return
            self._clip(number)

    def _clip(self, number: int) -> tuple[np.ndarray, int]:
        """Frames (offsets, H, W, 4) of a clip and the number of its first frame in the video."""
        place = self.clips.index(number)
        with self._lock:
            start = int(self._starts[place]) - 1
        if start < 0:  # two workers may come here at a time: they write the same
            start = self._render(number, self._frames[place])
            with self._lock:
                self._starts[place] = start + 1
        return self._frames[place], start

    def _render(self, number: int, frames: np.ndarray) -> int:
        """A clip within one shot: hard cuts have no common feature to learn. Returns the number of its first
        frame."""
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
def marks(length: int) -> tuple[int, ...]:
    """A sparse ruler: few numbers from 0 to `length` whose differences are 1 to `length`, about 2
    sqrt(length) of them.

    0 to k - 1, and every k-th from `length` down: the first part measures less than k, both together all
    else.
    """
    rulers = ([*range(k), *sorted(range(length, k - 1, -k))] for k in range(1, math.isqrt(length) + 2))
    return tuple(min(rulers, key=len))


@cache
def pairs_apart(length: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each distance 1 to `length`, the pairs of positions in `marks(length)` that are so far apart."""
    found = marks(length)
    return tuple(
        tuple((i, j) for i in range(len(found)) for j in range(i) if found[i] - found[j] == distance)
        for distance in range(1, length + 1)
    )


def _shared(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros, shared with forked processes; pages take memory once they are written."""
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
