# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The campaign against the node and the tools (docs/reliability.md): it throws bad messages and files at them
and lets the node run for very long."""
