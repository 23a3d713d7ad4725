#!/usr/bin/env bash
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
# The trainings of the study in docs/study.md, one after the other, each resumable: run it again to go on.
#   scripts/studies/camvid_study.sh CAMVID OUT [NAME ...]        CAMVID holds train/images and train/labels
# Names given choose among the runs below; by default all, in this order. Two calls with different names use two cores.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# *//p' "$0"; exit 2; }
camvid=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")/.." && pwd)

runs=(  # name, configuration, settings
  "per_frame_0       camvid_study seed=0 model.architecture=per_frame"
  "dcfm_0            camvid_study seed=0"
  "per_frame_1       camvid_study seed=1 model.architecture=per_frame"
  "dcfm_1            camvid_study seed=1"
  "no_consistency_0  camvid_study seed=0 consistency=false"
  "no_consistency_1  camvid_study seed=1 consistency=false"
  "radius_1          camvid_study seed=0 data.radius=1"
  "no_key_shallow    camvid_study seed=0 model.shallow_on=nonkey"
  "no_nonkey_shallow camvid_study seed=0 model.shallow_on=key"
  "all_shallow       camvid_study seed=0 model.shallow_used=32"
  "scratch_all_drives   camvid_scratch seed=0"
  "scratch_other_drives camvid_scratch seed=0 data.sources.1.exclude=0016E5"
  "scratch_no_consistency camvid_scratch seed=0 consistency=false"
)
for run in "${runs[@]}"; do
  read -r name config settings <<< "$run"
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  arguments=()
  for setting in $settings; do arguments+=(--set "$setting"); done
  "${PYTHON:-python3}" -m dcfm_ros train "$here/config/train/$config.yaml" --data "$camvid" --out "$out/$name" \
    --resume --workers 0 "${arguments[@]}"
done
