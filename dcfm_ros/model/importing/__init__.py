# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that others wrote, as model folders. One door: `dcfm_ros.model.importing.import_model`."""
