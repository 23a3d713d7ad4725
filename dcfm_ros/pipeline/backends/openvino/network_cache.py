# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converted networks on disk: tracing one takes seconds, reading it back a fraction of one."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import openvino
import torch

from dcfm_ros import environment
from dcfm_ros.model.whole_folder import whole_folder
from dcfm_ros.pipeline.backends import network_cache as cache

_log = logging.getLogger(__name__)
_KEPT = 200  # networks, some fifteen for each small model and input size; the least recently used go


def cache_folder() -> Path:
    return cache.user_cache("openvino")


def network_key(part: torch.nn.Module, shapes: list[tuple[int, ...]]) -> str:
    """A name for this network at these input shapes, with this version of OpenVINO."""
    return cache.network_key(part, shapes, openvino.__version__)


def converted(part: torch.nn.Module, *example: torch.Tensor) -> openvino.Model:
    """A module as OpenVINO's network for inputs of just the example's shapes."""
    with warnings.catch_warnings():  # of values that depend on the shapes: these are fixed here
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return openvino.convert_model(
            part, example_input=example, input=[tuple(tensor.shape) for tensor in example]
        )


def cached_network(core: openvino.Core, key: str, convert: Callable[[], openvino.Model]) -> openvino.Model:
    """The network of that key from disk, or converted and stored. A cache that cannot be used only costs
    time."""
    folder = cache_folder() / key
    try:
        if (folder / "network.xml").is_file():
            os.utime(folder)
            return core.read_model(folder / "network.xml")
    except (OSError, RuntimeError) as error:
        _log.warning("cannot read the cached network %s, converting again: %s", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
    network = convert()
    try:
        with whole_folder(folder) as part:  # also with two processes at once
            openvino.save_model(network, part / "network.xml", compress_to_fp16=False)
        cache.forget_oldest(folder.parent, "network.xml", _KEPT)
    except (OSError, RuntimeError) as error:
        cause = (
            getattr(error.__cause__ or error, "strerror", None) or error
        )  # the same for each of a dozen networks
        if environment.prepare():  # else it has been said that nothing can be cached
            environment.say_once(
                f"cannot cache the networks in {folder.parent} ({cause}), so starts take longer: make room "
                f"there, "
                "or set XDG_CACHE_HOME to a folder that can be written"
            )
    return network
