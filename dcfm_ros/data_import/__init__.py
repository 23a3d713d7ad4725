# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exports of annotation tools become data folders: `dcfm data import`. Entry point:
`import_data.import_data`."""
