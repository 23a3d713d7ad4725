# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the files that come with the package lie: built-in models and class maps."""

import sys
from pathlib import Path


def config_folders(kind: str) -> list[Path]:
    """The folders of that name in `config`: beside the source tree, or under share/ of an installation
    prefix."""
    package = Path(__file__).resolve().parent
    candidates = [package.parent / "config" / kind]
    candidates += [
        prefix / "share" / "dcfm_ros" / "config" / kind
        for prefix in (*Path(__file__).parents, Path(sys.prefix))
    ]
    return [place for place in dict.fromkeys(candidates) if place.is_dir()]


def ready_class_maps() -> dict[str, Path]:
    """The class maps that come with the package, by name."""
    return {
        path.stem: path
        for place in reversed(config_folders("class_maps"))
        for path in sorted(place.glob("*.yaml"))
    }
