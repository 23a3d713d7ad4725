# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The step `environment`: what this machine is and has, how fast it copies and multiplies, and what is wrong
with its GPU."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

from dcfm_ros.model.versions import installed, processor_name

PACKAGES = (
    "torch",
    "triton",
    "numba",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "pillow",
    "safetensors",
    "PyYAML",
    "tqdm",
    "transformers",
    "pytest",
)
LEAST_GB = 2.0  # of free memory of a GPU


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    report = {
        "machine": _machine(),
        "packages": installed(PACKAGES),
        "gpu": None,
        "problem": packages_problem(),
    }
    if options.device != "cpu" and not report["problem"]:
        report["problem"] = gpu_problem()
    if options.device != "cpu" and not report["problem"]:
        report["gpu"] = _gpu()
    report["line"] = report["problem"] or _line(report)
    options.json.write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


def packages_problem() -> str:
    """Which packages cannot be imported, in one line; empty if all can."""
    found = []
    for package in ("torch", "numba", "cv2", "PIL", "safetensors", "yaml", "tqdm"):
        try:
            importlib.import_module(package)
        except ImportError as error:  # missing, or numba does not know this NumPy
            found.append(" ".join(str(error).split())[:120])
    return f"Python packages are missing for {sys.executable}: {'; '.join(found)}" if found else ""


def gpu_problem() -> str:
    """Why PyTorch cannot compute on this machine's GPU, in one line; empty if it can."""
    import torch

    with warnings.catch_warnings(
        record=True
    ) as said:  # PyTorch says why as a warning, of an old driver for example
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if torch.version.cuda is None:
        return f"this PyTorch, {torch.__version__}, is built without CUDA: install a build with it"
    if not available:
        reason = " ".join(str(said[-1].message).split()) if said else "no NVIDIA GPU or no driver is there"
        return f"PyTorch finds no usable GPU: {reason}"
    try:
        torch.ones(8, device="cuda").sum().item()
        free, _ = torch.cuda.mem_get_info()
    except RuntimeError as error:  # a GPU too old or too new for this build, in use by another, out of memory
        return f"the GPU does not compute: {' '.join(str(error).split())[:250]}"
    if free < LEAST_GB * 1e9:
        return (
            f"the GPU has {free / 1e9:.1f} GB of free memory, {LEAST_GB:.0f} are needed: end what else runs "
            f"on it"
        )
    return ""


def shared_memory_gb() -> float:
    """Free in /dev/shm, through which training's batches pass; 0 where there is none."""
    try:
        return round(shutil.disk_usage("/dev/shm").free / 1e9, 2)
    except OSError:
        return 0.0


def _machine() -> dict:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "free_disk_gb": round(shutil.disk_usage(os.getcwd()).free / 1e9, 1),
        "shared_memory_gb": shared_memory_gb(),
    }


def _gpu() -> dict:
    import torch

    about = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    return {
        "name": about.name,
        "capability": f"{about.major}.{about.minor}",
        "multiprocessors": about.multi_processor_count,
        "memory_gb": round(total / 1e9, 1),
        "free_gb": round(free / 1e9, 1),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": _driver(),
        **_speed(free),
    }


def _driver() -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=15,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else ""


def _speed(free: int) -> dict:
    """What copies and matrix products reach: the ceilings of all other figures. Random data: zeros are
    faster."""
    import torch

    def seconds(run, repeats: int = 10) -> float:
        for _ in range(3):
            run()
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(repeats):
            run()
        torch.cuda.synchronize()
        return (time.perf_counter() - began) / repeats

    size = min(2**30, free // 8)
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * size / seconds(lambda: target.copy_(source))
    side = 8192 if free > 8e9 else 2048
    left, right = (torch.randn(side, side, device="cuda").half() for _ in range(2))
    multiplied = 2 * side**3 / seconds(lambda: left @ right)
    return {"copy_gb_per_s": round(copied / 1e9, 1), "f16_matrix_tflops": round(multiplied / 1e12, 1)}


def _line(report: dict) -> str:
    machine, gpu = report["machine"], report["gpu"]
    text = f"{machine['cpu']}, {machine['cores']} cores"
    if gpu:
        text = (
            f"{gpu['name']}, {gpu['memory_gb']:.0f} GB, driver {gpu['driver'] or 'unknown'}, CUDA "
            f"{gpu['cuda']}, {gpu['copy_gb_per_s']:.0f} GB/s, {gpu['f16_matrix_tflops']:.0f} TFLOP/s in f16; "
            f"{text}"
        )
    text = f"{text}; Python {machine['python']}, PyTorch {report['packages'].get('torch', 'missing')}"
    for package, lost in (("transformers", "no comparison with Hugging Face"), ("pytest", "no tests")):
        text += f"; {package} is not installed: {lost}" if package not in report["packages"] else ""
    return text


if __name__ == "__main__":
    main()
