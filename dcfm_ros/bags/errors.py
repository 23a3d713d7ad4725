# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one kind of error that recordings raise."""


class BagError(ValueError):
    """A recording that cannot be opened, read or written; the message names it and the remedy."""
