# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For programs that run as forks of a process that has imported what they need."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def become(program: list[str], log: str | Path, environment: dict[str, str]) -> None:
    """In the fork: take the arguments and the environment of a program; what it says goes to the end of a
    file, which is there."""
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    sys.stdout, sys.stderr = (os.fdopen(standard, "w", buffering=1, closefd=False) for standard in (1, 2))
    sys.argv = program
