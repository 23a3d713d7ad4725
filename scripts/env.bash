# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
# Source this file to work in the environment which `make build` made:
#     source scripts/env.bash && dcfm --help
# Sourcing it again changes nothing. VENV names another virtual environment than .venv, as in the Makefile. Where there is
# no environment, or the build did not finish, it says so and returns 1.

_dcfm_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
_dcfm_venv=$(cd "$_dcfm_root" && cd "${VENV:-.venv}" 2>/dev/null && pwd)
if [ ! -f "$_dcfm_venv/pyvenv.cfg" ]; then
    echo "dcfm_ros: there is no virtual environment ${VENV:-.venv} in $_dcfm_root: run \`make build\` there" >&2
    return 1
fi

_dcfm_prepend() { # variable, folder
    case ":${!1:-}:" in
        *":$2:"*) ;;
        *) export "$1=$2${!1:+:${!1}}" ;;
    esac
}

export VIRTUAL_ENV=$_dcfm_venv
_dcfm_prepend PATH "$_dcfm_venv/bin"
if grep -q "include-system-site-packages = false" "$_dcfm_venv/pyvenv.cfg"; then
    # Made without a ROS distribution: the environment's own wheels take its place.
    _dcfm_prepend AMENT_PREFIX_PATH "$_dcfm_venv"
    _dcfm_prepend CMAKE_PREFIX_PATH "$_dcfm_venv"
fi
if [ -f "$_dcfm_root/install/local_setup.bash" ]; then
    _dcfm_nounset=$(shopt -po nounset || true) # colcon's script is not written for `set -u`
    set +u
    # shellcheck source=/dev/null # made by the build
    source "$_dcfm_root/install/local_setup.bash"
    eval "$_dcfm_nounset"
fi

# `python -m …` puts the current folder first on the module path. In the repository that would be the bare sources,
# which lack the generated messages, instead of install/, which links to the sources and has both. (Python 3.11 and
# newer; with 3.10 use the commands `dcfm` and `pytest`.)
export PYTHONSAFEPATH=1

unset _dcfm_venv _dcfm_nounset
unset -f _dcfm_prepend
if command -v dcfm >/dev/null || [ -n "${MAKELEVEL:-}" ]; then # make sources this file to build
    unset _dcfm_root
else
    echo "dcfm_ros: the build in $_dcfm_root did not finish: run \`make build\` there again" >&2
    unset _dcfm_root
    return 1
fi
