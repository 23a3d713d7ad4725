# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm export`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.pipeline.export.options import ExportOptions

SETTINGS = (ExportOptions,)


def run(options: ExportOptions) -> None:
    from dcfm_ros.pipeline.export.export import export

    print(export(options))
