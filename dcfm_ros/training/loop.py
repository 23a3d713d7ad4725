# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop. All inputs are arguments; a resumed training gives the same result."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
from torch import Tensor
from tqdm import tqdm

from dcfm_ros.model.image import normalised
from dcfm_ros.sources.clips import ClipSet
from dcfm_ros.training.average import WeightAverage
from dcfm_ros.training.checkpoint import (
    BEST,
    LAST,
    TrainingError,
    as_fitted,
    load_state,
    plain_config,
    save_folder,
    save_state,
)
from dcfm_ros.training.data import Batch, PairBatches, affordable_workers, balanced_weights, load_batches
from dcfm_ros.training.datasets import Data, open_data
from dcfm_ros.training.fit import fitted
from dcfm_ros.training.group import Group, average_statistics, cores, joined, largest, summed
from dcfm_ros.training.log import TrainingLog
from dcfm_ros.training.optimiser import Precision, make_optimiser
from dcfm_ros.training.record import training_record
from dcfm_ros.training.settings import TrainConfig, ValidationConfig
from dcfm_ros.training.start import fresh_model, new_model
from dcfm_ros.training.step import on_device, seed_dropout, step
from dcfm_ros.training.stop import GO_ON, StopRequest
from dcfm_ros.training.validate import score

_FIRST = 4  # batches by which a new model's decoder is started, where the configuration asks for that


@dataclass(frozen=True)
class Outcome:
    """The result of a call of `train`."""

    folder: Path  # model folder of the last checkpoint
    code: int  # exit code: 0 at the end or when the time is up, 128 + signal number after a signal
    note: str  # for the user; empty in all but one process of a group
    is_finished: bool  # all iterations are done


def train(
    config: TrainConfig,
    out: str | Path,
    device: str = "auto",
    resume: bool = False,
    workers: int | None = None,
    minutes: float | None = None,
    fit: bool = False,
    tensorboard: bool = False,
    on_save: Callable[[Path], None] = lambda out: None,
) -> Outcome:
    """Train to the end of the last phase, or until a signal or the end of `minutes`, after which a checkpoint
    is saved.

    Under torchrun, call it once per process.

    workers: processes that prepare batches; by default one per core, at most 8
    fit: choose the length of the phases to fit into the minutes (`fit.py`); a resumed training keeps them
    on_save: called with `out` after each checkpoint
    """
    if workers is not None and workers < 0:
        raise ValueError(f"workers {workers}: use 0 or more")
    if fit and minutes is None:
        raise ValueError("fit: give the minutes to fit training into")
    out, workers = Path(out), default_workers() if workers is None else workers
    if fit and resume:
        config = as_fitted(config, out)
    state = load_state(out, config, resume)
    threads = cv2.getNumThreads()
    with joined(device) as group:
        # time counts from here; signals only once there is something to save
        stop = StopRequest(minutes, verbose=group.rank == 0)
        workers = affordable_workers(config, workers, group)
        data = open_data(config, group.rank, group.world)
        try:
            if fit and state is None:
                config = fitted(config, data, group, workers, stop.seconds_left)
            trainer = Trainer(config, data, out, group, state, tensorboard, on_save)
            with stop, closing(trainer.log):
                code = trainer.run(workers, stop)
        finally:
            cv2.setNumThreads(threads)
        note = trainer.note(code) if group.rank == 0 else ""
    return Outcome(out / LAST, max(code, 0), note, trainer.done == config.iterations)


class Trainer:
    """One process's part of a training: the model and everything that changes with it."""

    def __init__(
        self,
        config: TrainConfig,
        data: Data,
        out: Path,
        group: Group,
        state: dict | None,
        tensorboard: bool = False,
        on_save: Callable[[Path], None] = lambda out: None,
    ):
        self.config, self.out, self.group, self.on_save = config, out, group, on_save
        self.data, self.validation = data
        self.batches = PairBatches(config, self.data, group.rank, group.world)
        tell = tqdm.write if group.rank == 0 else (lambda text: None)
        self.model = on_device(
            new_model(config, tell, self._first_images) if state is None else fresh_model(config),
            config,
            group.device,
        )
        self.average = WeightAverage(self.model, config.average)
        self.optimiser = make_optimiser(self.model, config)
        self.precision = Precision(config.amp, group.device)
        if state is None:
            state = {"iteration": 0, "seconds": 0.0, "scores": {}, "best": -math.inf, "log": None}
            self.saved, weights = -1, None
            if config.class_balance:
                weights = balanced_weights(summed(self.batches.class_counts()), config.class_balance)
        else:
            weights, self.saved = state["class_weights"], state["iteration"]
            self.model.load_state_dict(state["model"])
            self.average.restore(state.get("average"))
            self.optimiser.load_state_dict(state["optimiser"])
            self.precision.scaler.load_state_dict(state["scaler"])
        self.done, self.seconds, self.scores, self.best = (
            state[key] for key in ("iteration", "seconds", "scores", "best")
        )
        self.class_weights = None if weights is None else weights.to(group.device)
        if group.rank == 0:
            out.mkdir(parents=True, exist_ok=True)
        self.log = TrainingLog(out, config, self.done, state["log"], group.rank == 0, tensorboard)
        self.begun = time.monotonic()

    def _first_images(self) -> Iterator[Tensor]:
        """Yield the images of the first batches, the same in all processes."""
        batches = PairBatches(self.config, self.data)
        for iteration in range(min(_FIRST, self.config.iterations)):
            batch = batches[iteration]
            if isinstance(batch, Exception):
                raise batch
            yield normalised(batch.labelled, self.config.model.normalisation)

    def run(self, workers: int, stop: StopRequest) -> int:
        """Train to the end, or until `stop` requests an end; return its code."""
        iterations, code = range(self.done, self.config.iterations), GO_ON
        pin_memory = self.group.device.type == "cuda"
        with closing(load_batches(self.batches, iterations, workers, pin_memory)) as batches:
            for iteration, batch in zip(iterations, batches):
                failed, code = largest([isinstance(batch, Exception), stop.code])
                if failed:
                    raise (
                        batch
                        if isinstance(batch, Exception)
                        else TrainingError("another process could not read its data")
                    )
                if code != GO_ON:
                    break
                assert not isinstance(batch, Exception)
                self._iteration(iteration, batch)
        if self.saved != self.done:
            self._save()
        return code

    def note(self, code: int) -> str:
        """Return the message for the user after `run`."""
        done = f"{self.done} of {self.config.iterations} iterations are done"
        best = f", the best in {self.out / BEST}" if self.best > -math.inf else ""
        kept = f"The model is in {self.out / LAST}{best}."
        if code == GO_ON:
            return f"{done}. {kept}"
        why = f"signal {code - 128}" if code else "time is up"
        return f"Stopped: {why}. {done}. {kept} Continue with the same command and --resume."

    def _iteration(self, iteration: int, batch: Batch) -> None:
        seed_dropout(self.config.seed, iteration, self.group.rank)
        losses = step(
            self.model, self.optimiser, self.precision, batch, self.config, iteration, self.class_weights
        )
        self.average.update()
        self.log.add(iteration, losses)
        self.done = iteration + 1
        is_end, started = self.done == self.config.iterations, time.monotonic()
        validation = self.config.validation
        if self.validation and validation and (is_end or self.done % validation.every == 0):
            self._validate(self.validation, validation)
        if is_end or self.done % self.config.save_every == 0:
            self._save()
        self.log.pause(time.monotonic() - started)

    def _validate(self, clips: ClipSet, config: ValidationConfig) -> None:
        self._share_statistics()
        scores = score(
            self.average.model,
            clips,
            config.frames,
            self.config.data.radius,
            self.group,
            self.config.data.aligned > 0,
        )
        self.log.validated(self.done, scores)
        self.scores = {"iteration": self.done, **scores}
        if scores["score"] > self.best:
            self.best = scores["score"]
            if self.group.rank == 0:
                save_folder(self.out / BEST, self.average.model, self._record())

    def _save(self) -> None:
        self._share_statistics()
        self.saved = self.done
        if self.group.rank > 0:
            return
        save_state(
            self.out,
            {
                "configuration": json.dumps(plain_config(self.config)),
                "iteration": self.done,
                "seconds": self._seconds(),
                "model": self.model.state_dict(),
                "average": self.average.state(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.precision.scaler.state_dict(),
                "class_weights": self.class_weights,
                "scores": self.scores,
                "best": self.best,
                "log": self.log.state(),
            },
        )
        save_folder(self.out / LAST, self.average.model, self._record())
        self.on_save(self.out)

    def _share_statistics(self) -> None:
        for model in dict.fromkeys((self.model, self.average.model)):  # same order in all processes
            average_statistics(model)

    def _record(self) -> dict:
        progress = {
            "iterations_done": self.done,
            "hours": round(self._seconds() / 3600, 3),
            "losses": self.log.losses,
            **({"validation": self.scores} if self.scores else {}),
        }
        return training_record(
            self.config, self.data, self.validation, self.group, str(self.precision), progress
        )

    def _seconds(self) -> float:
        """Return the seconds spent on training so far, over all calls."""
        return self.seconds + time.monotonic() - self.begun


def default_workers() -> int:
    """Return one per core of this process's share of the machine, at most 8."""
    return min(8, cores())
