# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a machine or its GPU, in one line."""

import sys
import warnings

import pytest
import torch
from gpu import environment


@pytest.fixture
def gpu(monkeypatch):
    """A PyTorch with a GPU, as far as `gpu_problem` looks; a test breaks it."""
    monkeypatch.setattr(torch.version, "cuda", "13.0", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", lambda *_, **__: torch.zeros(1))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (64e9, 80e9))
    return monkeypatch


def test_a_gpu_that_is_fine(gpu):
    assert environment.gpu_problem() == ""


def test_a_build_without_cuda(gpu):
    gpu.setattr(torch.version, "cuda", None)
    assert (
        environment.gpu_problem()
        == f"this PyTorch, {torch.__version__}, is built without CUDA: install a build with it"
    )


def test_no_gpu_and_an_old_driver(gpu):
    gpu.setattr(torch.cuda, "is_available", lambda: False)
    assert environment.gpu_problem() == "PyTorch finds no usable GPU: no NVIDIA GPU or no driver is there"
    old = "CUDA initialization: The NVIDIA driver on your system\nis too old (found version 11040)."
    gpu.setattr(torch.cuda, "is_available", lambda: warnings.warn(old))
    assert environment.gpu_problem() == "PyTorch finds no usable GPU: " + old.replace("\n", " ")


def test_packages_that_cannot_be_imported(monkeypatch):
    """numba, for example, where it does not know NumPy's version."""
    assert environment.packages_problem() == ""
    for name in ("numba", "tqdm"):
        monkeypatch.setitem(sys.modules, name, None)
    assert environment.packages_problem() == (
        f"Python packages are missing for {sys.executable}: import of numba halted; None in sys.modules; "
        "import of tqdm halted; None in sys.modules"
    )


def test_a_gpu_that_does_not_compute_or_is_full(gpu):
    def fails(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    gpu.setattr(torch.cuda, "mem_get_info", lambda: (1e9, 80e9))
    assert (
        environment.gpu_problem()
        == "the GPU has 1.0 GB of free memory, 2 are needed: end what else runs on it"
    )
    gpu.setattr(torch, "ones", fails)
    assert environment.gpu_problem() == (
        "the GPU does not compute: CUDA error: no kernel image is available for execution on the device more"
    )
