# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What times depend on beside versions: the machine."""

from __future__ import annotations

import os

from dcfm_ros.model.versions import processor_name


def cpu_name() -> str:
    """The processor as the system names it, and how many cores this process may use."""
    return f"{processor_name()}, {len(os.sched_getaffinity(0))} cores"


def machine() -> dict:
    """For reports: processor, GPU (None without), threads of PyTorch."""
    import torch  # here, as the node is without it

    return {
        "cpu": cpu_name(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch_threads": torch.get_num_threads(),
    }
