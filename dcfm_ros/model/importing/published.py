# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the published DCFM implementation: `encoder_epoch_*.pth` and `decoder_epoch_*.pth`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dcfm_ros.model.backbone_specs import MIT_SPECS, RESNET_SPECS
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.foreign import Foreign
from dcfm_ros.model.importing.layout import Layout, by_prefix, closest_backbone, shape

ENCODER, DECODER = ("backbone.encoder.", "backbone.layer0."), ("ffm.convblk.", "final.")
SIGNS = (*ENCODER, DECODER[0])

# Without a head layer the classifier follows a dropout; with one, it follows convolution, batch norm, ReLU
# and dropout.
HEADS = (
    {"head.classifier.": "final.1."},
    {"head.hidden.0.": "final.0.", "head.hidden.1.": "final.1.", "head.classifier.": "final.4."},
)


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    """Interpret the published DCFM's files: encoder and decoder. Raises CheckpointError."""
    encoder, decoder = _encoder_and_decoder(checkpoints)
    if repeated := sorted(set(encoder.tensors) & set(decoder.tensors)):
        raise CheckpointError(
            f"{encoder.path} and {decoder.path} both hold {repeated[0]}; give one encoder and one decoder "
            f"file"
        )
    tensors, where = encoder.tensors | decoder.tensors, f"{encoder.path} with {decoder.path}"

    is_mit = any(name.startswith(ENCODER[0]) for name in encoder.tensors)
    head_layers = 1 if "final.0.weight" in tensors else 0
    backbone_names = (
        {"encoder.": "backbone.encoder.", "fusion.": "backbone.decoder."}
        if is_mit
        else {"encoder.": "backbone.", "fusion.": "backbone.ppm."}
    )
    # conv_seg: a classifier that the published code contains but never uses
    layout = Layout(
        by_prefix(
            {**backbone_names, "bottleneck.": "bot_aspp.", "ffm.": "ffm.convblk.", **HEADS[head_layers]}
        ),
        ignored=r"backbone\.decoder\.conv_seg\.",
    )
    settings = {
        "backbone": closest_backbone(encoder.tensors, layout, MIT_SPECS if is_mit else RESNET_SPECS),
        "head_layers": head_layers,
    }
    if is_mit:
        settings["embed"] = shape(tensors, "backbone.decoder.linear_fuse.conv.weight", 4, where)[0]
    if "bot_aspp.weight" in tensors:
        settings["common_width"] = shape(tensors, "bot_aspp.weight", 4, where)[0]
    settings["shallow_used"] = _shallow_used(tensors, settings, where)
    classes = shape(tensors, f"{HEADS[head_layers]['head.classifier.']}weight", 4, where)[0]
    return Foreign(where, tensors, layout, settings, classes)


def _encoder_and_decoder(checkpoints: Sequence[Checkpoint]) -> tuple[Checkpoint, Checkpoint]:
    """Tell the files apart by their content; their order does not matter."""
    by_kind = {_kind(checkpoint): checkpoint for checkpoint in checkpoints}
    if len(checkpoints) == 2 and set(by_kind) == {"encoder", "decoder"}:
        return by_kind["encoder"], by_kind["decoder"]
    raise CheckpointError(
        "a published DCFM model is two files, encoder_epoch_*.pth and decoder_epoch_*.pth, but given are "
        f"{', '.join(f'{c.path} ({_kind(c)})' for c in checkpoints)}; give one of each"
    )


def _kind(checkpoint: Checkpoint) -> str:
    kinds = [
        kind
        for kind, signs in (("encoder", ENCODER), ("decoder", DECODER))
        if any(name.startswith(signs) for name in checkpoint.tensors)
    ]
    return " and ".join(kinds) or "neither"


def _shallow_used(tensors: dict[str, Tensor], settings: dict, where: str) -> int:
    """Return s: the fusion's convolution reads the common feature and `s` shallow channels."""
    inputs = shape(tensors, "ffm.convblk.conv.weight", 4, where)[1]
    probe = ModelConfig(classes=(ClassSpec("any", (0, 0, 0)),), **settings)
    used = inputs - probe.common_channels
    if not 1 <= used <= probe.shallow_channels:
        raise CheckpointError(
            f"{where}: ffm.convblk.conv.weight reads {inputs} channels, which leaves {used} shallow ones "
            f"beside the {probe.common_channels} of the common feature; {probe.backbone} has 1 to "
            f"{probe.shallow_channels}"
        )
    return used
