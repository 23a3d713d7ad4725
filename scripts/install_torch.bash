#!/usr/bin/env bash
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
# Installs the build of PyTorch that fits the machine; for CUDA builds that is left to pip's default index, which has them.
#     [TORCH_INDEX=cpu] scripts/install_torch.bash PYTORCH_INDEXES PIP INSTALL COMMAND...
# TORCH_INDEX is the name of an index below PYTORCH_INDEXES (cpu, cu128, cu130) or the URL of any other. Empty: as the
# machine is. A machine with an NVIDIA GPU never gets the CPU build unasked.
set -euo pipefail
indexes=$1; shift
trap 'exit 130' INT # an index that the user did not wait for is not an unusable one
trap 'exit 143' TERM
root=${MACHINE_ROOT:-} # another / for the tests

first_of() { # the first of these paths that exists
    local path
    for path in "$@"; do
        if [ -e "$path" ]; then echo "${path#"$root"}"; return; fi
    done
    return 1
}

install_from() { "${@:2}" --no-deps --index-url "$1" -r requirements/torch.txt; }

if [ -n "${TORCH_INDEX:-}" ]; then
    case $TORCH_INDEX in
        */*) index=$TORCH_INDEX ;;
        *) index=$indexes/$TORCH_INDEX ;;
    esac
    install_from "$index" "$@" || {
        echo "$index could not be used. If it lacks the version in requirements/torch.txt, write one there that it has." >&2
        exit 1
    }
elif sign=$(first_of "$root"/etc/nv_tegra_release "$root"/dev/nvhost-ctrl* "$root"/dev/nvmap); then
    # Before nvidia-smi, which newer Jetsons have, too: most are not served by PyPI's builds.
    echo "This is an NVIDIA Jetson ($sign), and only NVIDIA knows the PyTorch for its JetPack. Run make again with
TORCH_INDEX=<URL of NVIDIA's index for it>, or with TORCH_INDEX=cpu to do without the GPU." >&2
    exit 1
elif nvidia-smi -L >/dev/null 2>&1; then
    : # pip's default index
elif sign=$(first_of "$root"/dev/nvidia[0-9]* "$root"/proc/driver/nvidia); then
    echo "nvidia-smi shows no GPU, but an NVIDIA driver is here ($sign): taking the CUDA build of PyTorch, which is large.
For another: make distclean, then make with TORCH_INDEX=cpu, or cu128 and the like." >&2
else
    install_from "$indexes/cpu" "$@" --retries 0 --timeout 10 2>/dev/null \
        || echo "$indexes/cpu could not be used: taking PyTorch from pip's default index"
fi
