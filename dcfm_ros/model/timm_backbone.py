# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convolutional encoders from the library timm, `backbone: timm/NAME`, split into a shallow and a deep part.

Any timm network that is a single chain of modules with features at strides 4, 8, 16 and 32 can be split at
the first of these. This is verified: the chain's features are compared with those of timm's own network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from dcfm_ros.model.backbone_specs import PREFIX
from dcfm_ros.model.chain import ChainEncoder
from dcfm_ros.model.normalisation import Normalisation
from dcfm_ros.setting_fields import ConfigError

STRIDES = (4, 8, 16, 32)
_PROBE = (64, 96)  # size of the image used for the comparison


@dataclass(frozen=True)
class TimmSpec:
    """timm's description of one of its networks."""

    name: str  # without the prefix
    taps: tuple[str, ...]  # the modules that end at strides 4 (the shallow tap), 8, 16 and 32
    widths: tuple[int, ...]  # channels at these
    normalisation: Normalisation  # of images, as in its training

    @property
    def shallow_channels(self) -> int:
        return self.widths[0]


@cache
def timm_spec(backbone: str) -> TimmSpec:
    """Return the description of a backbone, named with the prefix. Raises ConfigError if timm is missing, has
    no such network, or the network lacks one of the strides."""
    name = backbone.removeprefix(PREFIX)
    model = _create(name)
    # the last one at each stride
    ends = {entry["reduction"]: entry for entry in getattr(model, "feature_info", ())}
    if missing := [stride for stride in STRIDES if stride not in ends]:
        raise ConfigError(
            f"backbone {backbone} has no feature at stride {', '.join(map(str, missing))}; use a "
            "convolutional one with features at strides 4, 8, 16 and 32"
        )
    trained = model.pretrained_cfg
    return TimmSpec(
        name,
        tuple(ends[stride]["module"] for stride in STRIDES),
        tuple(ends[stride]["num_chs"] for stride in STRIDES),
        Normalisation(tuple(trained["mean"]), tuple(trained["std"])),
    )


class TimmEncoder(ChainEncoder):
    """timm's network up to stride 32, with random weights, as a chain of steps. Raises ConfigError if it is
    not a chain."""

    def __init__(self, spec: TimmSpec):
        model = _create(spec.name).eval()
        steps = list(_steps(model, spec.taps))
        super().__init__(tuple(_end(steps, tap) for tap in spec.taps))
        self.spec = spec
        self.names = tuple(name for name, _ in steps[: self.ends[-1]])  # timm's name of each step
        self.blocks = nn.Sequential(*(module for _, module in steps[: self.ends[-1]]))
        _require_same(spec, model, self)
        self.train()

    def weights(self) -> dict[str, Tensor]:
        """Return the encoder's tensors by timm's names, without the counters of batch norms."""
        return {
            f"{name}.{inner}": tensor
            for name, step in zip(self.names, self.blocks)
            for inner, tensor in step.state_dict().items()
            if not inner.endswith("num_batches_tracked")
        }

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Load weights by timm's names; those of the classifier are ignored. Raises ConfigError that lists
        what is missing or has the wrong shape."""
        wanted = self.weights()
        missing = [name for name in wanted if name not in tensors]
        misshapen = [
            f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in wanted.items()
            if name in tensors and tensors[name].shape != tensor.shape
        ]
        whole = _create(self.spec.name).state_dict()
        extra = [name for name in tensors if name not in whole]
        faults = [
            f"{what}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
            for what, names in (("missing", missing), ("of another shape", misshapen), ("not in it", extra))
            if names
        ]
        if faults:
            raise ConfigError(f"these are not weights of {PREFIX}{self.spec.name}: {'; '.join(faults)}")
        for name, step in zip(self.names, self.blocks):
            step.load_state_dict(
                {inner: tensors.get(f"{name}.{inner}", own) for inner, own in step.state_dict().items()}
            )


def _create(name: str) -> Any:  # a network of timm, with more attributes than a module has
    try:
        import timm
    except Exception as error:  # timm imports torchvision, which can fail in many ways with another PyTorch
        raise ConfigError(
            f"backbone {PREFIX}{name} needs timm and the torchvision of this PyTorch (pip install timm "
            f"torchvision): {error}"
        ) from error
    try:
        model = timm.create_model(name)
    except Exception as error:
        raise ConfigError(
            f"backbone {PREFIX}{name}: timm cannot create it ({error}); timm.list_models() lists the "
            "available ones"
        ) from error
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # features are used more than once
    return model


def _steps(module: nn.Module, taps: Sequence[str], within: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield modules with their names in order of registration, descending into sequences and into modules
    that contain a tap."""
    for name, child in module.named_children():
        path = f"{within}{name}"
        if type(child) is nn.Sequential or any(tap.startswith(f"{path}.") for tap in taps):
            yield from _steps(child, taps, f"{path}.")
        else:
            yield path, child


def _end(steps: Sequence[tuple[str, nn.Module]], tap: str) -> int:
    """Return the number of steps up to a tap; all of them if it is not the end of a step, which the
    comparison detects."""
    return max(
        (number for number, (name, _) in enumerate(steps, 1) if f"{name}.".startswith(f"{tap}.")),
        default=len(steps),
    )


def _require_same(spec: TimmSpec, model: nn.Module, encoder: TimmEncoder) -> None:
    """Raise ConfigError unless the steps, run in order, produce the same features as timm's network at its
    taps."""
    seen: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(tap).register_forward_hook(
            lambda module, inputs, output, tap=tap: seen.update({tap: output})
        )
        for tap in spec.taps
    ]
    image = torch.linspace(-2, 2, 3 * _PROBE[0] * _PROBE[1]).view(1, 3, *_PROBE)
    try:
        with torch.no_grad():
            model(image)
            wanted = dict(seen)  # the steps are the same modules: running them calls the hooks again
            found = encoder.eval().deep(encoder.shallow(image))
    except Exception as error:
        raise ConfigError(
            f"backbone {PREFIX}{spec.name} cannot be split: {error}; use a convolutional one that takes any "
            f"size"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    for tap, stride, width, feature in zip(spec.taps, STRIDES, spec.widths, found):
        if feature.shape != (1, width, *(side // stride for side in _PROBE)) or not torch.equal(
            feature, wanted[tap]
        ):
            raise ConfigError(
                f"backbone {PREFIX}{spec.name} cannot be split at stride {stride}: its network is not a "
                "chain of modules; use another"
            )
