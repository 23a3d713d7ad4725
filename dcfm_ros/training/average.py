# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A moving average of a model's weights, which is better than the weights of any single step."""

from __future__ import annotations

from typing import cast

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dcfm_ros.model.build import Model

_FIRST = 10  # the first steps weigh alike, so that the initial weights are forgotten faster


class WeightAverage:
    """An exponential moving average including batch-norm statistics, available as `model`. With decay 0, that
    is the trained model itself."""

    def __init__(self, trained: Model, decay: float):
        self._trained, self._decay = trained, decay
        self._averaged = AveragedModel(trained, use_buffers=True) if decay else None

    @property
    def model(self) -> Model:
        return cast(Model, self._averaged.module) if self._averaged else self._trained

    def update(self) -> None:
        """Update the average; call after each step."""
        if self._averaged:
            steps = int(self._averaged.n_averaged)
            self._averaged.multi_avg_fn = get_ema_multi_avg_fn(
                min(self._decay, (1 + steps) / (_FIRST + steps))
            )
            self._averaged.update_parameters(self._trained)

    def state(self) -> dict | None:
        """Return the state to resume from; it shares memory with the average."""
        return self._averaged.state_dict() if self._averaged else None

    def restore(self, state: dict | None) -> None:
        if self._averaged and state is not None:
            self._averaged.load_state_dict(state)
