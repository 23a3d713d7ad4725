# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The average of a model's weights over the last steps, which is better than the weights of any one step."""

from __future__ import annotations

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dcfm_ros.model.build import Model

_FIRST = 10  # steps that weigh alike: fresh weights are forgotten faster than later ones


class WeightAverage:
    """An exponential moving average; `model` has it, statistics of batch norms included. Where decay is 0, it
    is the model that is trained."""

    def __init__(self, trained: Model, decay: float):
        self._trained, self._decay = trained, decay
        self._averaged = AveragedModel(trained, use_buffers=True) if decay else None

    @property
    def model(self) -> Model:
        return self._averaged.module if self._averaged else self._trained

    def update(self) -> None:
        """After each step."""
        if self._averaged:
            steps = int(self._averaged.n_averaged)
            self._averaged.multi_avg_fn = get_ema_multi_avg_fn(
                min(self._decay, (1 + steps) / (_FIRST + steps))
            )
            self._averaged.update_parameters(self._trained)

    def state(self) -> dict | None:
        """To go on from; it shares memory with the average."""
        return self._averaged.state_dict() if self._averaged else None

    def restore(self, state: dict | None) -> None:
        if self._averaged:
            self._averaged.load_state_dict(state)
