# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns pair sources into batches. Sample number i is a pure function of (seed, i), so training resumes
exactly."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.config import ConfigError
from dcfm_ros.sources.data_sets import SOFT_LABELS
from dcfm_ros.training.augment import augment
from dcfm_ros.training.group import Group, processes_here
from dcfm_ros.training.pair_motion import with_motion
from dcfm_ros.training.pairs import DataError, Pair, PairSource
from dcfm_ros.training.settings import PhaseConfig, TrainConfig
from dcfm_ros.training.targets import of_hard

_PATIENCE_S = 600  # timeout for a worker that neither fails nor delivers


class Batch(NamedTuple):
    """Images (B, H, W, 3) and labels (B, H, W), all uint8, 255 = void; and the origin of each pair.

    motion: (B, 2, H/4, W/4, 2) float32, see Pair; None if common features are not aligned
    soft: (B, 2, H, W, 2 * KEPT) uint8, see Pair; None if no pair has soft labels
    """

    labelled: Tensor
    neighbour: Tensor
    labels: Tensor
    neighbour_labels: Tensor | None  # None if no neighbour in the batch has a label
    origins: tuple[str, ...]
    motion: Tensor | None = None
    soft: Tensor | None = None


class PairBatches(Dataset):
    """Batches for one process of a data-parallel group; each process draws its own samples."""

    def __init__(
        self, config: TrainConfig, sources: Sequence[PairSource | None], rank: int = 0, world: int = 1
    ):
        if uneven := [
            phase.batch for phase in config.phases if phase.batch % world
        ]:  # gradients of all processes have the same weight
            more = uneven[0] + world - uneven[0] % world
            raise ConfigError(
                f"batch {uneven[0]} cannot be divided evenly among {world} processes: use a multiple of "
                f"{world}, such as {more}, or another number of processes"
            )
        self.config, self.sources, self.rank, self.world = config, sources, rank, world

    def pairs(self, iteration: int) -> list[Pair]:
        """Return this process's augmented pairs of an iteration."""
        phase, _ = self.config.phase_at(iteration)
        numbers = range(self.rank, phase.batch, self.world)
        return [self._sample(phase, (self.config.seed, 1, iteration, number)) for number in numbers]

    def __getitem__(self, iteration: int) -> Batch | DataError:
        """Return the batch of an iteration. An error is returned as a value, so that its message passes from
        a worker unchanged."""
        try:
            return stacked(self.pairs(iteration))
        except (ValueError, RuntimeError, OSError) as error:
            return DataError(str(error))

    def class_counts(self, samples: int = 64) -> np.ndarray:
        """Return the labelled pixels per class (classes,) in this process's share of a fixed set of crops."""
        counts = np.zeros(256, np.int64)
        phase = self.config.phases[0]
        for number in range(self.rank, samples, self.world):
            counts += np.bincount(
                self._sample(phase, (self.config.seed, 2, number)).label.ravel(), minlength=256
            )
        return counts[: len(self.config.model.classes)]

    def _sample(self, phase: PhaseConfig, key: tuple[int, ...]) -> Pair:
        rng = np.random.default_rng(key)
        ends = np.cumsum(self.config.weights(phase))
        source = self.sources[int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))]
        assert source is not None  # those which are None have weight 0
        pair = augment(source.pair(rng), phase.height, phase.width, self.config.augment, rng)
        return with_motion(pair, self.config.data.aligned, rng) if self.config.data.aligned else pair


def load_batches(
    batches: PairBatches, iterations: range, workers: int, pin_memory: bool = False
) -> Generator[Batch | DataError]:
    """Yield the batches of `iterations` in order, or the error that prevented one.

    workers: processes that prepare batches, two each in advance; with 0 they are prepared on demand. The
        batches are the same
    pin_memory: use page-locked memory, from which a GPU copies while it computes
    """
    if workers:
        cv2.setNumThreads(0)  # before the fork, which OpenCV's threads do not survive
    of_workers: dict[str, Any] = {
        "multiprocessing_context": "fork",
        "prefetch_factor": 2,
        "worker_init_fn": _prepare_worker,
        "timeout": _PATIENCE_S,
    }
    yield from DataLoader(
        batches,
        batch_size=None,
        sampler=iterations,
        num_workers=workers,
        collate_fn=_as_is,
        pin_memory=pin_memory,
        **(of_workers if workers else {}),
    )


def affordable_workers(
    config: TrainConfig, workers: int, group: Group, tell: Callable[[str], None] = tqdm.write
) -> int:
    """Return `workers`, or fewer if /dev/shm is too small for their batches.

    Batches pass through /dev/shm; a worker that finds it full prints a message, and training waits forever.
    In a Docker container it has 64 MB by default.
    """
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:  # not Linux: batches pass through something else
        return workers
    largest = max(phase.batch * phase.height * phase.width for phase in config.phases) / group.world
    # bytes per pixel of both images and labels, motion, and soft labels where they are
    pixel = 8 + bool(config.data.aligned) + 8 * any(s.source == SOFT_LABELS for s in config.data.sources)
    each = 3 * pixel * largest  # two batches prepared and one in transfer
    room = int(free / each / processes_here())
    if room < workers and group.rank == 0:
        tell(
            f"{workers} workers would need {workers * each / 1e6:.0f} MB of /dev/shm, {free / 1e6:.0f} are "
            f"free: {room} are used; give a container more (docker run --shm-size)"
        )
    return min(room, workers)


def stacked(pairs: Sequence[Pair]) -> Batch:
    labels, void = [pair.neighbour_label for pair in pairs], np.full_like(pairs[0].label, IGNORE_LABEL)
    motions = [pair.motion for pair in pairs if pair.motion is not None]
    return Batch(
        _stack([pair.image for pair in pairs]),
        _stack([pair.neighbour for pair in pairs]),
        _stack([pair.label for pair in pairs]),
        None
        if all(label is None for label in labels)
        else _stack([void if label is None else label for label in labels]),
        tuple(pair.origin for pair in pairs),
        _stack(motions) if motions else None,
        _stack([_soft(pair) for pair in pairs]) if any(pair.soft is not None for pair in pairs) else None,
    )


def _soft(pair: Pair) -> np.ndarray:
    """Return the soft labels of both frames; those of a pair with hard ones are made of them."""
    if pair.soft is not None:
        return pair.soft
    void = np.full_like(pair.label, IGNORE_LABEL)
    other = void if pair.neighbour_label is None else pair.neighbour_label
    return np.stack([of_hard(pair.label), of_hard(other)])


def balanced_weights(counts: np.ndarray, exponent: float) -> Tensor | None:
    """Return class weights (median frequency / frequency) ** exponent, scaled so that the mean over pixels is
    1; None for exponent 0."""
    if exponent == 0:
        return None
    share = np.maximum(counts / max(counts.sum(), 1), 1e-4)
    weights = (np.median(share) / share) ** exponent
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


def _prepare_worker(number: int) -> None:
    """Ignore signals, which are for the training process, as that still needs the requested batches; use one
    thread per worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _stack(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _as_is(batch):
    return batch
