# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cache of converted OpenVINO networks: tracing one takes seconds, reading it back a fraction of a second."""

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
from dcfm_ros.files import atomic_directory
from dcfm_ros.pipeline.backends import network_cache as cache

_log = logging.getLogger(__name__)
_MAX_NETWORKS = 200  # about fifteen per small model and input size; the least recently used are removed


def cache_folder() -> Path:
    return cache.user_cache("openvino")


def network_key(part: torch.nn.Module, shapes: list[tuple[int, ...]]) -> str:
    """Return the cache key of a network at these input shapes, with this version of OpenVINO."""
    return cache.network_key(part, shapes, openvino.__version__)


def converted(part: torch.nn.Module, *example: torch.Tensor) -> openvino.Model:
    """Convert a module to an OpenVINO model for inputs of exactly the example's shapes."""
    with warnings.catch_warnings():  # about values that depend on the shapes, which are fixed here
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return openvino.convert_model(
            part, example_input=example, input=[tuple(tensor.shape) for tensor in example]
        )


def cached_network(core: openvino.Core, key: str, convert: Callable[[], openvino.Model]) -> openvino.Model:
    """Load the network of that key from disk, or convert and store it. An unusable cache only costs time."""
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
        with atomic_directory(folder) as part:  # also with two processes at once
            openvino.save_model(network, part / "network.xml", compress_to_fp16=False)
        cache.forget_oldest(folder.parent, "network.xml", _MAX_NETWORKS)
    except (OSError, RuntimeError) as error:
        # identical for all networks, so that it is reported once
        cause = getattr(error.__cause__ or error, "strerror", None) or error
        if environment.prepare():  # otherwise it has already been reported that nothing can be cached
            environment.say_once(
                f"cannot cache the networks in {folder.parent} ({cause}), so starts take longer: make room "
                "there, or set XDG_CACHE_HOME to a folder that can be written"
            )
    return network
