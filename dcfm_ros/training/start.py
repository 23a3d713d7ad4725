# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Initial weights of a training: random, or those of another model as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from dcfm_ros.model.backbone_specs import encoder_name
from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.folder import load_model, some
from dcfm_ros.model.importing.import_model import read_file, read_model
from dcfm_ros.model.importing.prefixes import around_names, told
from dcfm_ros.model.model_yaml import untrained_parts
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.model.timm_backbone import TimmEncoder
from dcfm_ros.training.decoder_start import start_decoder
from dcfm_ros.training.settings import BACKBONE, MASKS, MEANING, TrainConfig

OF_BACKBONE = ("encoder.", "fusion.")
CLASSIFIERS = ("head.classifier.weight", "classifier.weight", "classifier.bias")


def new_model(
    config: TrainConfig,
    tell: Callable[[str], None] = lambda text: None,
    images: Callable[[], Iterable[Tensor]] = tuple,
) -> Model:
    """Return the model to train, identical in every process: random, or with the weights of `config.init`.

    tell: called with a message on parts that the initial model does not provide
    images: returns some batches of normalised images (B, 3, H, W), for `init_parts: masks`
    """
    model = fresh_model(config)
    if config.init_encoder:
        load_encoder(model, config.init_encoder, tell)
    if config.init:
        origin, untrained = load_model(config.init), untrained_parts(config.init)
        fresh = load_weights(model, origin, config.init_parts == BACKBONE, untrained)
        with_masks = config.init_parts == MASKS and isinstance(origin, PerFrame) and not untrained
        if with_masks and isinstance(model, DCFM):
            assert isinstance(origin, PerFrame)
            if lacking := start_decoder(model, origin, images()):
                tell(f"init: {config.init} has no {some(lacking)}; these classes start with random weights")
        elif fresh := [name for name in fresh if not name.endswith("num_batches_tracked")]:
            more = f" and {len(fresh) - 3} more" if len(fresh) > 3 else ""
            tell(
                f"init: {config.init} has no weights, or not all, for {', '.join(fresh[:3])}{more}; these "
                f"start with random weights"
            )
    return model


def load_encoder(model: Model, file: str, tell: Callable[[str], None] = lambda text: None) -> None:
    """Load the weights of a pretrained encoder; the rest is unchanged. Raises ConfigError if the backbone
    differs, CheckpointError if the file is incomplete.

    tell: called with a message on what of the file is left out
    """
    if isinstance(model.encoder, TimmEncoder):
        found = around_names(read_file(Path(file)), list(model.encoder.weights()))
        model.encoder.take(found.tensors)
        for line in told([found]):
            tell(f"init_encoder: {file}: {line}")
        return
    # the size that images had there does not matter to an encoder
    imported = read_model([file], input_size=(model.config.input_height, model.config.input_width))
    origin = imported.model
    for line in imported.prefix_notes:
        tell(f"init_encoder: {file}: {line}")
    if encoder_name(origin.config.backbone) != encoder_name(model.config.backbone):
        raise ConfigError(
            f"init_encoder: {file} is {origin.config.backbone}, the configuration has "
            f"{model.config.backbone}; give the configuration that backbone, or another file"
        )
    _require_same(origin.config, model.config, "init_encoder")
    model.encoder.load_state_dict(origin.encoder.state_dict())


def _require_same(origin: ModelConfig, wanted: ModelConfig, setting: str) -> None:
    if changed := [name for name in MEANING if getattr(origin, name) != getattr(wanted, name)]:
        raise ConfigError(
            f"{setting}: the model has {_values(origin, changed)}, the configuration "
            f"{_values(wanted, changed)}; give the configuration those of the model"
        )


def _values(config: ModelConfig, names: Sequence[str]) -> str:
    return " and ".join(f"{name} {getattr(config, name)}" for name in names)


def fresh_model(config: TrainConfig) -> Model:
    torch.manual_seed(config.seed)
    model = build_model(config.model)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if isinstance(model, DCFM):
        nn.init.normal_(model.head.classifier.weight, std=config.head_std)  # its input has unit length
    else:  # its input has not: larger weights start with a large loss
        nn.init.normal_(model.classifier.weight, std=0.01)
    return model


def load_weights(
    model: Model, origin: Model, backbone_only: bool = False, untrained: tuple[str, ...] = ()
) -> list[str]:
    """Copy what fits from `origin`; return the names of the tensors that stay random.

    The backbone must be the same. Decoder tensors are copied if names and shapes agree; of a classifier, the
    rows of classes with the same name, so that a model can be fine-tuned to another class list. Nothing is
    copied from `untrained` parts (such as the fusion of an imported backbone).
    """
    if origin.config.backbone != model.config.backbone:
        raise ConfigError(
            f"init: a {origin.config.backbone} model cannot start a {model.config.backbone} one; use the "
            "same backbone"
        )
    _require_same(origin.config, model.config, "init")
    given, fresh = origin.state_dict(), []
    rows = [
        (new, origin.config.class_names.index(name))
        for new, name in enumerate(model.config.class_names)
        if name in origin.config.class_names
    ]
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            decoder = not name.startswith(OF_BACKBONE)
            random = name.split(".")[0] in untrained
            source = None if random or (decoder and backbone_only) else given.get(name)
            if source is not None and name in CLASSIFIERS and source.shape[1:] == tensor.shape[1:]:
                for new, old in rows:
                    tensor[new] = source[old]
                if len(rows) < tensor.shape[0]:
                    fresh.append(name)
            elif source is not None and source.shape == tensor.shape:
                tensor.copy_(source)
            elif decoder or random or name.endswith("num_batches_tracked"):
                fresh.append(name)
            else:
                raise ConfigError(
                    f"init: {name} is {None if source is None else tuple(source.shape)} in the model and "
                    f"{tuple(tensor.shape)} in the configuration; use the same embed and fusion"
                )
    return fresh
