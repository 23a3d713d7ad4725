# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Installs dcfm_ros with pip, on machines without ROS: models, training, evaluation, pipeline and the command
`dcfm`.

On machines with ROS colcon builds the package with CMakeLists.txt and does not read this file. What both say
of the package (version, people, addresses) stands in package.xml alone.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()


def shared_files(*folders):
    """Files of `folders` as setuptools's data_files, bound for <prefix>/share/dcfm_ros as in a ROS
    installation."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                path = path.relative_to(ROOT)
                found.setdefault(f"share/dcfm_ros/{path.parent.as_posix()}", []).append(path.as_posix())
    return list(found.items())


setup(
    name=PACKAGE.findtext("name"),
    version=PACKAGE.findtext("version"),
    description="Semantic segmentation of camera video at the cost of a shallow network per frame, with ROS "
    "2 nodes",
    author=PACKAGE.findtext("author"),
    maintainer=PACKAGE.findtext("maintainer"),
    maintainer_email=PACKAGE.find("maintainer").get("email"),
    url=PACKAGE.findtext("url[@type='website']"),
    project_urls={
        "Source": PACKAGE.findtext("url[@type='repository']"),
        "Issues": PACKAGE.findtext("url[@type='bugtracker']"),
    },
    license=PACKAGE.findtext("license"),
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *[f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)],
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["dcfm_ros", "dcfm_ros.*"]),
    package_data={"dcfm_ros.reports.page": ["*.html", "*.css", "*.js"]},
    data_files=shared_files("config", "launch"),
    install_requires=[
        "jinja2",
        "matplotlib",
        "numba",
        "numpy>=1.26",
        "opencv-python-headless",
        "pillow",
        "pyyaml",
        "safetensors",
        "torch>=2.4",
        "tqdm",
    ],
    extras_require={
        "bags": ["mcap", "rosbags"],
        "data": ["datumaro>=1.13"],
        "docs": ["furo", "myst-parser", "sphinx", "sphinxcontrib-mermaid"],
        "export": ["onnx", "onnxscript"],
        "fleet": ["ray"],
        "int8": ["nncf", "openvino"],
        "openvino": ["openvino"],
        "test": ["nncf", "onnx", "onnxruntime", "onnxscript", "pytest", "tensorboard", "transformers"],
        "train": ["tensorboard"],
        "video": ["av"],
        "viewer": ["rerun-sdk==0.41.*; python_version >= '3.11'"],
    },
    entry_points={"console_scripts": ["dcfm = dcfm_ros.cli:main"]},
)
