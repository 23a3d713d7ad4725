# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Computes a model's size and cost: parameters, and the multiply-accumulates of each path a frame can take.

There are two counts. Published: the published order of operations; the paper's figures include biases, batch
norm and ReLU, and omit the products of attention. Running: with the exact rewrites of
`dcfm_ros.model.inference`, where the common contribution is computed once per keyframe and stored. Networks
are built on the meta device, so that even the largest takes no memory and little time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.model.cost import Cost, counted
from dcfm_ros.model.dcfm import DCFM, unit
from dcfm_ros.model.inference import GivenLogits, fold

UNUSED_CLASSIFIER = 128 * 19 + 19  # part of the published MiT checkpoints; never executed
INTERVALS = (2, 6)  # K, frames from keyframe to keyframe, of the paper's tables


@dataclass(frozen=True)
class PathCosts:
    """Costs of a model's parts in one form, and of the frames that use them."""

    shallow: Cost
    deep: Cost  # everything after S: only keyframes need it
    fusion: Cost  # FFM; once per keyframe that a frame uses, as is the head
    head: Cost

    def frames(self) -> dict[str, Cost]:
        """Return the cost of each kind of frame, and the mean over frames at a fixed interval.

        The paper charges a keyframe two passes through fusion and head: the rows `..._two_passes`. A keyframe
        needs one.
        """
        answer = self.fusion + self.head
        keyframe, causal = self.shallow + self.deep + answer, self.shallow + answer
        twice, two_sided = keyframe + answer, causal + answer
        rows = {
            "keyframe": keyframe,
            "keyframe_two_passes": twice,
            "nonkey_two_sided": two_sided,
            "nonkey_causal": causal,
        }
        for interval in INTERVALS:
            rows |= {
                f"two_sided_k{interval}": _mean(keyframe, two_sided, interval),
                f"two_sided_k{interval}_two_passes": _mean(twice, two_sided, interval),
                f"causal_k{interval}": _mean(keyframe, causal, interval),
            }
        return rows


def _mean(keyframe: Cost, nonkey: Cost, interval: int) -> Cost:
    return (keyframe + nonkey * (interval - 1)) * (1 / interval)


def profile(config: ModelConfig) -> dict:
    """Return parameters and costs of a model, at its input size, as plain values for JSON.

    `paths` has a row for each part and each kind of frame: `published` and `running`, multiply-accumulates of
    layers, each with `..._attention`, those of attention; `paper`, the published ones as the paper counts
    them. The row `per_frame` is the same backbone with a classifier, for every frame.
    """
    with torch.no_grad(), torch.device("meta"):
        image = torch.empty(1, config.input_height, config.input_width, 3)
        model = build_model(config).eval()
        alone = build_model(replace(config, architecture="per_frame")).eval()
        costs = [
            {"published": published_costs(one, image), "running": inference_costs(one, image)}
            for one in (model, alone)
        ]
    parts = ("shallow", "deep", "fusion", "head") if isinstance(model, DCFM) else ("shallow", "deep", "head")
    rows = {part: {form: getattr(of, part) for form, of in costs[0].items()} for part in parts}
    rows["per_frame"] = {form: of.shallow + of.deep + of.head for form, of in costs[1].items()}
    if isinstance(model, DCFM):
        frames = {form: of.frames() for form, of in costs[0].items()}
        rows |= {name: {form: frames[form][name] for form in frames} for name in frames["running"]}
    return {
        "backbone": config.backbone,
        "architecture": config.architecture,
        "classes": len(config.classes),
        "input_height": config.input_height,
        "input_width": config.input_width,
        "parameters": parameters(model),
        "paths": {name: _plain(**row) for name, row in rows.items()},
    }


def _plain(published: Cost, running: Cost) -> dict[str, float]:
    return {
        "paper": published.layers + published.extras,
        "published": published.layers,
        "published_attention": published.attention,
        "running": running.layers,
        "running_attention": running.attention,
    }


def parameters(model: Model) -> dict[str, int]:
    """Return the number of parameters. `encoder` is as in the paper: backbone and fusion of stages; the rest
    is `decoder`."""
    encoder, whole = _count(model.encoder) + _count(model.fusion), _count(model)
    unused = UNUSED_CLASSIFIER if model.config.is_mit else 0
    return {"encoder": encoder, "decoder": whole - encoder, "total": whole, "unused_in_published": unused}


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def published_costs(model: Model, image: Tensor) -> PathCosts:
    """Return the costs in the published order of operations; image (1, H, W, 3)."""
    model.published_order = True
    shallow, independent = counted(model.encoder.shallow, image.permute(0, 3, 1, 2))
    encoder, stages = counted(model.encoder.deep, independent)
    of_stages, deep = counted(model.fusion, stages, True)
    if not isinstance(model, DCFM):
        return PathCosts(shallow, encoder + of_stages, Cost(), counted(model.classifier, deep)[0])
    bottleneck, common = counted(model.bottleneck, deep)
    fusion, fused = counted(model.fuse, unit(common), unit(independent), True)
    return PathCosts(shallow, encoder + of_stages + bottleneck, fusion, counted(model.head, fused)[0])


def inference_costs(model: Model, image: Tensor) -> PathCosts:
    """Return the costs of the inference form; image (1, H, W, 3). The fusion's common part belongs to
    `deep`."""
    parts = fold(model)
    shallow, independent = counted(parts.shallow, image)
    backbone, deep = counted(parts.deep.feature, independent)
    contribution, common = counted(parts.deep.contribution, deep)
    if isinstance(parts.decoder, GivenLogits):
        return PathCosts(shallow, backbone, Cost(), contribution)
    fusion, fused = counted(parts.decoder.fuse, independent, common)
    return PathCosts(shallow, backbone + contribution, fusion, counted(parts.decoder.classify, fused)[0])


def sized(config: ModelConfig, size: str) -> ModelConfig:
    """Return the configuration with an input size written as HEIGHTxWIDTH."""
    if not (found := re.fullmatch(r"(\d+)x(\d+)", size)):
        raise ConfigError(f"size {size!r}: write HEIGHTxWIDTH in pixels, for example 480x853")
    return replace(config, input_height=int(found[1]), input_width=int(found[2]))


LABELS = {
    "shallow": "shallow path",
    "deep": "deep path, from S on",
    "fusion": "fusion (FFM)",
    "head": "head",
    "per_frame": "per frame: backbone, classifier",
    "keyframe": "keyframe",
    "keyframe_two_passes": "keyframe, charged twice *",
    "nonkey_two_sided": "non-key frame, two-sided",
    "nonkey_causal": "non-key frame, causal",
    **{f"two_sided_k{k}": f"mean, two-sided, K = {k}" for k in INTERVALS},
    **{f"two_sided_k{k}_two_passes": f"mean, two-sided, K = {k} *" for k in INTERVALS},
    **{f"causal_k{k}": f"mean, causal, K = {k}" for k in INTERVALS},
}


def profile_table(report: dict) -> str:
    """Return the report of `profile` as aligned text."""
    counts, columns = (
        report["parameters"],
        ("paper", "published", "published_attention", "running", "running_attention"),
    )
    title = (
        "{backbone}, {architecture}, {classes} classes, {input_height}x{input_width} pixels (height x width)"
    )
    lines = [title.format(**report), "", f"{'parameters':36}{'encoder':>14}{'decoder':>14}{'total':>14}"]
    for name, extra in {
        "here": 0,
        "published, with unused classifier": counts["unused_in_published"],
    }.items():
        if name == "here" or extra:
            lines.append(
                f"{name:36}{counts['encoder'] + extra:14,}{counts['decoder']:14,}"
                f"{counts['total'] + extra:14,}"
            )
    lines += [
        "",
        f"{'':36}{'paper':>12}{'as published':>24}{'as it runs':>24}",
        f"{'multiply-accumulates, 1e9':36}{'counts':>12}" + 2 * f"{'layers':>12}{'attention':>12}",
    ]
    for name, row in report["paths"].items():
        lines.append(f"{LABELS[name]:36}" + "".join(f"{row[column] / 1e9:12.3f}" for column in columns))
    lines += ["", "paper counts: as published, without attention, with biases, batch norm and ReLU"]
    if report["architecture"] == "dcfm":
        lines += [
            "(the paper's own figure for the FFM is that of its layer, published without extras)",
            "* a keyframe charged two passes through fusion and head, as in the paper's averages; it needs "
            "one",
        ]
    return "\n".join(lines)
