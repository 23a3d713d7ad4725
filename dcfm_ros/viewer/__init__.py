# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Display of a run in the Rerun viewer, live or as a file."""
