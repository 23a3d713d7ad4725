"""The training loop: everything it needs comes in as arguments; it resumes to the same course."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor, nn
from tqdm import tqdm

from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import save_model
from dcfm_ros.model.image import normalised
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.training.config import TrainConfig
from dcfm_ros.training.data import PairBatches, balanced_weights
from dcfm_ros.training.losses import Losses, per_frame_losses, symmetric_losses
from dcfm_ros.training.pairs import VOID, Pair
from dcfm_ros.training.start import BACKBONE, new_model

STATE_FILE = "state.pt"
LOG_FILE = "log.jsonl"
MODEL_FOLDER = "last"


class TrainingError(RuntimeError):
    """Training had to stop; the last good checkpoint stands."""


def train(config: TrainConfig, out: str | Path, device: str = "cpu", resume: bool = False) -> Path:
    """Train to the end of the last phase; returns the model folder. Under torchrun, one call per process."""
    out = Path(out)
    rank, world = _join_group()
    model = new_model(config).to(device)
    optimiser = make_optimiser(model, config)
    data = PairBatches(config, rank, world)
    start, weights = 0, None
    if resume and (out / STATE_FILE).is_file():
        state = torch.load(out / STATE_FILE, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        start, weights = state["iteration"], state["class_weights"]
    elif rank == 0:
        out.mkdir(parents=True, exist_ok=True)
        (out / LOG_FILE).unlink(missing_ok=True)
    if start == 0:
        weights = balanced_weights(_summed(data.class_counts()), config.class_balance)
    model.train()
    log = _Log(out / LOG_FILE, config, start, enabled=rank == 0)
    for iteration in range(start, config.iterations):
        _seed(config.seed, iteration, rank)
        losses = step(model, optimiser, data.batch(iteration), config, iteration, weights, device)
        log.add(iteration, losses)
        done = iteration + 1
        if done % config.save_every == 0 or done == config.iterations:
            _average_statistics(model, world)
            if rank == 0:
                _save_state(out / STATE_FILE, model, optimiser, done, weights)
                save_model(out / MODEL_FOLDER, model, record=training_record(config, done, log.last))
    log.close()
    if world > 1:
        distributed.destroy_process_group()
    return out / MODEL_FOLDER


def step(model: Model, optimiser, pairs: list[Pair], config: TrainConfig, iteration: int,
         class_weights: Tensor | None, device: str) -> Losses:
    """One optimiser step on the batch of this process, gradients averaged over all processes."""
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate(iteration) * group["factor"]
    labelled, neighbour, labels, neighbour_labels = _tensors(pairs, device)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=config.amp):
        class_weights = None if class_weights is None else class_weights.to(device)
        if isinstance(model, PerFrame):
            losses = per_frame_losses(model, labelled, neighbour, labels, neighbour_labels, class_weights)
        else:
            losses = symmetric_losses(
                model, labelled, neighbour, labels, neighbour_labels, class_weights, config.consistency)
    total = losses.total
    if not torch.isfinite(total):
        raise TrainingError(f"the loss is {total.item()} in iteration {iteration}: the last checkpoint stands; lower the rate")
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    _average_gradients(model)
    nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimiser.step()
    return losses


def make_optimiser(model: Model, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW; decoder (all but encoder and fusion) at a multiple of the encoder's rate; norms and biases are not decayed."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        decoder = not name.startswith(BACKBONE)
        groups.setdefault((decoder, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW([
        {"params": parameters, "factor": config.decoder_lr if decoder else 1.0,
         "weight_decay": config.weight_decay if decayed else 0.0}
        for (decoder, decayed), parameters in groups.items()
    ], lr=1e-3)


def training_record(config: TrainConfig, iteration: int, last: dict) -> dict:
    """What a model folder tells of its training."""
    plain = asdict(config)
    plain.pop("model")
    plain["data"]["stills"] = Path(config.data.stills).name  # the place on this machine is nobody's business
    plain["init"] = Path(config.init).name
    return json.loads(json.dumps({"iterations_done": iteration, "losses": last, "configuration": plain}))


def _tensors(pairs: list[Pair], device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    def stack(arrays):
        return torch.from_numpy(np.stack(arrays)).to(device)

    void = np.full_like(pairs[0].label, VOID)
    return (
        normalised(stack([p.image for p in pairs])),
        normalised(stack([p.neighbour for p in pairs])),
        stack([p.label for p in pairs]).long(),
        stack([void if p.neighbour_label is None else p.neighbour_label for p in pairs]).long(),
    )


def _join_group() -> tuple[int, int]:
    """(rank, world) of a torchrun group, or (0, 1)."""
    if "RANK" not in os.environ:
        return 0, 1
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return distributed.get_rank(), distributed.get_world_size()


def _seed(seed: int, iteration: int, rank: int) -> None:
    """Dropout is drawn anew from each iteration's number, so a resumed run repeats it."""
    torch.manual_seed((seed * 1_000_003 + iteration) * 64 + rank)


def _average_gradients(model: Model) -> None:
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(part.view_as(gradient))


def _summed(counts: np.ndarray) -> np.ndarray:
    """Counts of all processes together."""
    total = torch.from_numpy(counts.copy())
    if distributed.is_initialized():
        distributed.all_reduce(total)
    return total.numpy()


def _average_statistics(model: Model, world: int) -> None:
    """Batch-norm statistics are gathered per process; a saved model holds their mean."""
    if world == 1:
        return
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer /= world


def _save_state(path: Path, model: Model, optimiser, iteration: int, class_weights: Tensor | None) -> None:
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(),
                "iteration": iteration, "class_weights": class_weights}, part)
    os.replace(part, path)


class _Log:
    """JSON lines of mean losses, and a progress bar."""

    EVERY = 20

    def __init__(self, path: Path, config: TrainConfig, start: int, enabled: bool):
        self.path, self.config, self.enabled = path, config, enabled
        self.bar = tqdm(total=config.iterations, initial=start, disable=not enabled, mininterval=5.0)
        self.sums, self.count, self.pairs, self.last = np.zeros(3), 0, 0, {}
        self.since = time.monotonic()

    def add(self, iteration: int, losses: Losses) -> None:
        self.sums += [float(term.detach()) for term in losses]
        self.count += 1
        self.pairs += self.config.phase_at(iteration)[0].batch
        self.bar.update()
        if (iteration + 1) % self.EVERY == 0 and self.enabled:
            self._write(iteration + 1)

    def _write(self, done: int) -> None:
        elapsed = time.monotonic() - self.since
        means = (self.sums / self.count).round(5).tolist()
        self.last = dict(zip(Losses._fields, means))
        entry = {"iteration": done, **self.last, "learning_rate": self.config.learning_rate(done - 1),
                 "images_per_s": round(2 * self.pairs / elapsed, 2)}
        self.bar.set_postfix(key=means[0], nonkey=means[1], images_per_s=entry["images_per_s"])
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        self.sums[:], self.count, self.pairs, self.since = 0.0, 0, 0, time.monotonic()

    def close(self) -> None:
        self.bar.close()
