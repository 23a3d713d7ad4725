# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the formats of checkpoints that can be imported. Standard library only, so that help texts are
quick."""

PUBLISHED, NVLABS, HUGGING_FACE, EFFICIENTNET_LITE = FORMAT_NAMES = (
    "published",
    "nvlabs",
    "huggingface",
    "efficientnet_lite",
)
