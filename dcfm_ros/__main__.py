# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python3 -m dcfm_ros` is the `dcfm` command."""

import sys

from dcfm_ros.cli import main

sys.exit(main())
