# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint that is small enough to be carried away: `model/` in float16, and beside it what it takes to
go on.

`state.pt` of a training has weights and two moments in float32, 46 MB for MiT-B0. Carried are the weights in
float16, once, and the moments in bfloat16, whose range they need: 23 MB. Going on from there is not exact to
the last bit.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import torch

from dcfm_ros.model.folder import load_model, save_model
from dcfm_ros.model.model_yaml import training_record
from dcfm_ros.training.checkpoint import LAST, LOG_FILE, STATE_FILE

MODEL, STATE = "model", "state"
MOST_PART_BYTES = 16_000_000  # of a file
MOST_PARTS = 3  # with the reports and the model at most 8 files
_DIGEST = hashlib.sha256().digest_size


def carry(run: Path, out: Path) -> str:
    """The newest checkpoint of the training in `run`, into `out`. Returns what was left out, if anything, for
    people."""
    record = training_record(run / LAST)
    save_model(out / MODEL, load_model(run / LAST), record, half=True)
    state = torch.load(run / STATE_FILE, map_location="cpu", weights_only=True)
    del state["model"]
    state["lines"] = (run / LOG_FILE).read_text()
    _convert_moments(state, torch.bfloat16)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    return _write_parts(hashlib.sha256(data).digest() + data, out)


def carried_back(results: Path, run: Path) -> None:
    """A training folder to go on in, of what `carry` wrote to `results`; run: new folder."""
    parts = sorted(results.glob(f"{STATE}.[0-9]"))
    if not parts:
        raise FileNotFoundError(f"{results} has no {STATE}.1: it holds no training to go on with")
    data = b"".join(part.read_bytes() for part in parts)
    if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
        raise ValueError(
            f"{results / STATE}.* is damaged, or of two checkpoints: start from the model with "
            f"--init {results / MODEL}"
        )
    state = torch.load(io.BytesIO(data[_DIGEST:]), weights_only=True)
    phases = json.loads(state["configuration"])["phases"]
    if state["iteration"] >= sum(phase["iterations"] for phase in phases):
        raise ValueError(
            f"the training in {results} came to its end: train on from its model with --init "
            f"{results / MODEL}"
        )
    model, record = load_model(results / MODEL), training_record(results / MODEL)
    if record.get("iterations_done") != state["iteration"]:
        raise ValueError(
            f"{results} has the model of iteration {record.get('iterations_done')} and the state of "
            f"{state['iteration']}: it was interrupted while it saved; start from its model with "
            f"--init {results / MODEL}"
        )
    _convert_moments(state, torch.float32)
    run.mkdir(parents=True)
    save_model(run / LAST, model, record)
    (run / LOG_FILE).write_text(state.pop("lines"))
    torch.save({**state, "model": model.state_dict()}, run / STATE_FILE)


def _convert_moments(state: dict, dtype: torch.dtype) -> None:
    """Those of the optimiser; its counts of steps stay as they are."""
    for moments in state["optimiser"]["state"].values():
        for name, value in moments.items():
            if torch.is_tensor(value) and value.ndim:
                moments[name] = value.to(dtype)


def _write_parts(data: bytes, out: Path) -> str:
    cuts = range(0, len(data), MOST_PART_BYTES)
    if len(cuts) > MOST_PARTS:
        return f"; the state to go on from, {len(data) / 1e6:.0f} MB, is too large to be carried"
    part = out / f"{STATE}.part"
    try:
        for number, start in enumerate(cuts, start=1):
            part.write_bytes(data[start : start + MOST_PART_BYTES])
            os.replace(part, out / f"{STATE}.{number}")
    finally:
        part.unlink(missing_ok=True)  # a full disk has more need of the room
    return ""
