# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imports checkpoints of other projects as model folders. Entry point:
`dcfm_ros.model.importing.import_model`."""
