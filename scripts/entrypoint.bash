#!/usr/bin/env bash
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
# Of the container: runs a command where the distribution and the package are known.
set -e
# shellcheck source=/dev/null
source "/opt/ros/$ROS_DISTRO/setup.bash"
# shellcheck source=scripts/env.bash
source "$(dirname "${BASH_SOURCE[0]}")/env.bash"
exec "$@"
