# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag make`: its arguments, and what it prints."""

from __future__ import annotations

import json

from dcfm_ros.bags.options import MakeOptions

SETTINGS = (MakeOptions,)


def run(options: MakeOptions) -> None:
    from dcfm_ros.bags.make import make_bag

    print(json.dumps(make_bag(options), indent=2))
