# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages of docs/reference/, a module each; scripts/reference.py writes them."""
