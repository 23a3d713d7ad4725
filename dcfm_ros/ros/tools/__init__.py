# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that start nodes and measure them: `dcfm demo` and `dcfm soak`."""
