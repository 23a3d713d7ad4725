# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convolutional encoders of the library timm, `backbone: timm/NAME`, cut into a shallow and a deep part.

Whatever timm's network runs as one chain of modules, with features at strides 4, 8, 16 and 32 on it, can be
cut at the first of these. That it is such a chain is not taken on trust: its features are compared with those
of timm's own network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from dcfm_ros.model.chain import ChainEncoder
from dcfm_ros.model.image import Normalisation
from dcfm_ros.model.settings_types import ConfigError

PREFIX = "timm/"
STRIDES = (4, 8, 16, 32)
_PROBE = (64, 96)  # pixels of the image on which both are compared


@dataclass(frozen=True)
class TimmSpec:
    """What timm says of one of its networks."""

    name: str  # without the prefix
    taps: tuple[str, ...]  # the modules that end at strides 4 (the shallow tap), 8, 16 and 32
    widths: tuple[int, ...]  # and the channels there
    normalisation: Normalisation  # of images, as it was trained

    @property
    def shallow_channels(self) -> int:
        return self.widths[0]


@cache
def timm_spec(backbone: str) -> TimmSpec:
    """Of a backbone with the prefix. A ConfigError where timm is missing, has no such network, or it lacks
    one of the strides."""
    name = backbone.removeprefix(PREFIX)
    model = _create(name)
    ends = {
        entry["reduction"]: entry for entry in getattr(model, "feature_info", ())
    }  # of several at a stride, the last
    if missing := [stride for stride in STRIDES if stride not in ends]:
        raise ConfigError(
            f"backbone {backbone} has no feature at stride {', '.join(map(str, missing))}; use a "
            f"convolutional one "
            "with features at strides 4, 8, 16 and 32"
        )
    trained = model.pretrained_cfg
    return TimmSpec(
        name,
        tuple(ends[stride]["module"] for stride in STRIDES),
        tuple(ends[stride]["num_chs"] for stride in STRIDES),
        Normalisation(tuple(trained["mean"]), tuple(trained["std"])),
    )


class TimmEncoder(ChainEncoder):
    """timm's network up to stride 32, with fresh weights, as a chain of steps. A ConfigError where it is no
    chain."""

    def __init__(self, spec: TimmSpec):
        model = _create(spec.name).eval()
        steps = list(_steps(model, spec.taps))
        super().__init__(tuple(_end(steps, tap) for tap in spec.taps))
        self.spec = spec
        self.names = tuple(name for name, _ in steps[: self.ends[-1]])  # timm's, of each step
        self.blocks = nn.Sequential(*(module for _, module in steps[: self.ends[-1]]))
        _require_same(spec, model, self)
        self.train()

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Weights by timm's names; those of the classifier are left out. A ConfigError that lists what is
        missing or misshapen."""
        wanted = {
            f"{name}.{inner}": tensor
            for name, step in zip(self.names, self.blocks)
            for inner, tensor in step.state_dict().items()
        }
        missing = [
            name for name in wanted if name not in tensors and not name.endswith("num_batches_tracked")
        ]
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
            raise ConfigError(f"these are no weights of {PREFIX}{self.spec.name}: {'; '.join(faults)}")
        for name, step in zip(self.names, self.blocks):
            step.load_state_dict(
                {inner: tensors.get(f"{name}.{inner}", own) for inner, own in step.state_dict().items()}
            )


def _create(name: str) -> nn.Module:
    try:
        import timm
    except (
        Exception
    ) as error:  # it imports torchvision, which fails in ways of its own beside another PyTorch
        raise ConfigError(
            f"backbone {PREFIX}{name} needs timm and the torchvision of this PyTorch (pip install timm "
            f"torchvision): "
            f"{error}"
        ) from error
    try:
        model = timm.create_model(name)
    except Exception as error:
        raise ConfigError(
            f"backbone {PREFIX}{name}: timm cannot make it ({error}); timm.list_models() lists what there is"
        ) from error
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # features are used again
    return model


def _steps(module: nn.Module, taps: Sequence[str], within: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules with their names in the order in which they are registered; sequences, and what a tap lies in,
    are opened."""
    for name, child in module.named_children():
        path = f"{within}{name}"
        if type(child) is nn.Sequential or any(tap.startswith(f"{path}.") for tap in taps):
            yield from _steps(child, taps, f"{path}.")
        else:
            yield path, child


def _end(steps: Sequence[tuple[str, nn.Module]], tap: str) -> int:
    """Number of steps up to a tap; all of them where it is none of their ends, which the comparison finds."""
    return max(
        (number for number, (name, _) in enumerate(steps, 1) if f"{name}.".startswith(f"{tap}.")),
        default=len(steps),
    )


def _require_same(spec: TimmSpec, model: nn.Module, encoder: TimmEncoder) -> None:
    """Do the steps, one after another, give what timm's network has at its taps?"""
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
            f"backbone {PREFIX}{spec.name} cannot be cut: {error}; use a convolutional one that takes any "
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
                f"backbone {PREFIX}{spec.name} cannot be cut at stride {stride}: its network is no chain of "
                f"modules; use "
                "another"
            )
