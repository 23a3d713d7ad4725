# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports progress of a training: JSON lines, a progress bar and optionally TensorBoard."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from dcfm_ros.files import atomic_write
from dcfm_ros.training.checkpoint import LOG_FILE
from dcfm_ros.training.losses import Losses
from dcfm_ros.training.settings import TrainConfig

BOARD_FOLDER = "tensorboard"


class TrainingLog:
    """Mean losses of every EVERY iterations, and validation scores, in `out`.

    start: iterations done before; later entries of an existing log are dropped, as they will be repeated
    kept: the value of `state()` at `start`
    enabled: False in all but one process of a group
    """

    EVERY = 20

    def __init__(
        self,
        out: Path,
        config: TrainConfig,
        start: int = 0,
        kept: dict | None = None,
        enabled: bool = True,
        tensorboard: bool = False,
    ):
        self.path, self.config, self.enabled = out / LOG_FILE, config, enabled
        self.sums, self.count = torch.zeros(len(Losses._fields)), 0
        self.last: dict[str, float] = {}  # mean losses last written
        if kept:
            self.sums, self.count, self.last = torch.tensor(kept["sums"]), kept["count"], kept["last"]
        self.pairs, self.since = 0, time.monotonic()
        self.board = _board(out / BOARD_FOLDER, start) if tensorboard and enabled else None
        if enabled:
            _keep(self.path, start)
        self.bar = tqdm(
            total=config.iterations,
            initial=start,
            disable=None if enabled else True,
            mininterval=2.0,
            unit="it",
        )

    def add(self, iteration: int, losses: Tensor) -> None:
        """Add the losses (3,) of an iteration, in the order of `Losses`, on any device; the device is
        synchronised only every EVERY iterations."""
        self.sums = self.sums.to(losses.device) + losses.detach()
        self.count += 1
        self.pairs += self.config.phase_at(iteration)[0].batch
        self.bar.update()
        if (iteration + 1) % self.EVERY == 0:
            self._write(iteration + 1)
        elif not self.last and self.count == 1:
            self._show(self._values(iteration + 1))  # early feedback on a slow machine

    def validated(self, done: int, scores: dict[str, float]) -> None:
        self._entry({"iteration": done, "validation": scores}, "validation", scores)

    def pause(self, seconds: float) -> None:
        """Exclude a time from the images per second: validation and saving."""
        self.since += seconds

    @property
    def losses(self) -> dict[str, float]:
        """Return the mean losses last written or, before that, those so far."""
        return self.last or (self._means() if self.count else {})

    def state(self) -> dict:
        """Return what a resumed training needs to continue the log identically."""
        return {"sums": self.sums.tolist(), "count": self.count, "last": self.last}

    def close(self) -> None:
        self.bar.close()
        if self.board:
            self.board.close()

    def _write(self, done: int) -> None:
        values = self._values(done)
        self.last = {name: values[name] for name in Losses._fields}
        self._entry({"iteration": done, **values}, "train", values)
        self._show(values)
        self.sums, self.count, self.pairs, self.since = torch.zeros_like(self.sums), 0, 0, time.monotonic()

    def _values(self, done: int) -> dict[str, float]:
        speed = 2 * self.pairs / max(1e-9, time.monotonic() - self.since)
        return {
            **self._means(),
            "learning_rate": self.config.learning_rate(done - 1),
            "images_per_s": round(speed, 2),
        }

    def _show(self, values: dict[str, float]) -> None:
        """Show values in the progress bar, which adds the remaining time."""
        terms = " ".join(f"{name}={values[name]:.4g}" for name in Losses._fields)
        rest = f"lr={values['learning_rate']:.2g} images/s={values['images_per_s']:.1f}"
        self.bar.set_postfix_str(f"{terms} {rest}", refresh=False)

    def _means(self) -> dict[str, float]:
        return {name: round(mean, 5) for name, mean in zip(Losses._fields, (self.sums / self.count).tolist())}

    def _entry(self, entry: dict, group: str, values: dict[str, float]) -> None:
        if not self.enabled:
            return
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(f"{group}/{name}", value, entry["iteration"])


def _keep(path: Path, start: int) -> None:
    """Drop the lines after `start`, atomically, so that an interruption does not lose the others."""
    lines = path.read_text().splitlines() if start and path.is_file() else []
    atomic_write(path, "".join(f"{line}\n" for line in lines if _iteration(line) <= start))


def _iteration(line: str) -> float:
    try:
        return json.loads(line)["iteration"]
    except ValueError:  # the process was killed while writing
        return math.inf


def _board(folder: Path, start: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RuntimeError(
            "TensorBoard is missing: pip install tensorboard, or train without --tensorboard"
        ) from error
    return SummaryWriter(folder, purge_step=start + 1)
