# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How results are shown: tables, plots, pages, videos, and what they were measured on."""
