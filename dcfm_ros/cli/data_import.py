# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm data import`: its arguments, and what it prints."""

from __future__ import annotations

from dcfm_ros.data_import.options import DataImportOptions

SETTINGS = (DataImportOptions,)


def run(options: DataImportOptions) -> None:
    from dcfm_ros.data_import.import_data import import_data

    print(import_data(options))
