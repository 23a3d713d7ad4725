#!/usr/bin/env bash
# The trainings of the study in docs/results.md, one after the other, each resumable: run it again to go on.
#   scripts/camvid_study.sh CAMVID OUT [NAME ...]        CAMVID holds train/images and train/labels
# Names given choose among the runs below; by default all, in this order. Two calls with different names use two cores.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# *//p' "$0"; exit 2; }
camvid=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")/.." && pwd)

runs=(
  "per_frame_0    seed=0 model.architecture=per_frame"
  "dcfm_0         seed=0"
  "per_frame_1    seed=1 model.architecture=per_frame"
  "dcfm_1         seed=1"
  "no_consistency_0  seed=0 consistency=false"
  "no_consistency_1  seed=1 consistency=false"
  "radius_1       seed=0 data.radius=1"
  "no_key_shallow    seed=0 model.shallow_on=nonkey"
  "no_nonkey_shallow seed=0 model.shallow_on=key"
  "dcfm_other_drives      seed=0 data.sources.1.exclude=0016E5"
  "per_frame_other_drives seed=0 data.sources.1.exclude=0016E5 model.architecture=per_frame"
)
for run in "${runs[@]}"; do
  read -r name settings <<< "$run"
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  arguments=()
  for setting in $settings; do arguments+=(--set "$setting"); done
  "${PYTHON:-python3}" -m dcfm_ros train "$here/config/train/camvid_study.yaml" --data "$camvid" --out "$out/$name" \
    --resume "${arguments[@]}"
done
