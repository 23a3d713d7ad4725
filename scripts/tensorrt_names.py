# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes down which names TensorRT's Python bindings have, for the test that holds the TensorRT backend
against them.

    pip download --no-deps --dest /tmp/wheels tensorrt-cu12-bindings==11.4.0.106
    python scripts/tensorrt_names.py /tmp/wheels/*.whl test/data/tensorrt_names

The bindings are imported, with TensorRT's libraries replaced by empty ones of the same names: no GPU and no
TensorRT is needed, only gcc and the Python version of the wheel. Of the classes only those below are written.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CLASSES = (
    "Builder",
    "BuilderFlag",
    "DataType",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IProgressMonitor",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "TensorIOMode",
)
LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin")
FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
LIST_NAMES = f"""
import json
import tensorrt_bindings as trt
names = ["__version__"]
for kind in {CLASSES!r}:
    names += [kind, *(f"{{kind}}.{{name}}" for name in dir(getattr(trt, kind)) if not name.startswith("_"))]
names += [f"ILogger.Severity.{{name}}" for name in trt.ILogger.Severity.__members__]
print(json.dumps([trt.__version__, names]))
"""


def names_of(wheel: Path) -> tuple[str, list[str]]:
    """Version of the bindings in a wheel, and their names: `Class` and `Class.attribute`."""
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        version = wheel.name.split("-")[1]
        source = Path(folder) / "empty.c"
        source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in FUNCTIONS))
        for library in LIBRARIES:
            name = f"lib{library}.so.{version.split('.')[0]}"
            subprocess.run(
                ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", Path(folder) / name, source],
                check=True,
            )
        listed = subprocess.run(
            [sys.executable, "-c", LIST_NAMES],
            check=True,
            capture_output=True,
            text=True,
            env={"LD_LIBRARY_PATH": folder, "PYTHONPATH": folder},
        )
    return tuple(json.loads(listed.stdout))


def main(wheels: list[str], out: str) -> None:
    for wheel in wheels:
        version, names = names_of(Path(wheel))
        path = Path(out) / f"{version}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(sorted(set(names))) + "\n")
        print(f"{path}: {len(names)} names")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:-1], sys.argv[-1])
