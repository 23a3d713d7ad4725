#!/usr/bin/env bash
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
# The walk of docs/your_own_model.md on recordings of rendered streets, each command as the page has it; some minutes.
# Instead of a person, scripts/own_model_labels.py labels the chosen frames, from the exact labels of the recordings.
#     source scripts/env.bash && scripts/own_model_walk.sh [FOLDER]
# MINUTES is the time for each of the two trainings (4), FRAMES the number of frames to label (24).
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-out/own_model}
minutes=${MINUTES:-4} frames=${FRAMES:-24}
if [ -e "$work" ]; then
    echo "own model walk: $work exists already: remove it, or give another folder" >&2
    exit 1
fi
mkdir -p "$work"
cd "$work"

step() { printf '\n== %s\n' "$*" >&2; }
run() { # prints the command as a user types it, then runs it
    printf '$ %s\n' "$*" >&2
    "$@"
}
miou() { # model: its accuracy on the fourth recording
    dcfm bag evaluate drive4 --model "$1" --labels /camera/label --out "report_$2" --video 0 >"report_$2.txt"
    grep -A2 -m1 mIoU "report_$2.txt" # with DCFM, and with every frame a keyframe
}

step "Three recordings, and a fourth to measure on"
for number in 1 2 3 4; do
    dcfm bag make "synthetic:$((999 + number))" "drive$number" --frames 225 >/dev/null
done

step "Which frames are worth labelling?"
run dcfm bag frames drive1 drive2 drive3 -n "$frames" --out to_label

step "Label them (here: from the exact labels, as CVAT exports it)"
python "$here/scripts/own_model_labels.py" to_label drive1 drive2 drive3 --out annotations.zip

step "Bring the labels home"
run dcfm data import annotations.zip --frames to_label --classes street11_b0 --out my_data

step "Train on them"
run dcfm train "$here/config/train/my_data.yaml" --data my_data --init street11_b0 --out runs/mine --minutes "$minutes" --fit

step "And on all the frames that have no label"
run dcfm distil --teacher runs/mine/last --data drive1 drive2 drive3 --out runs/distilled --frames 600 --minutes "$minutes"

step "How good, on a drive that no model has seen?"
for model in street11_b0 runs/mine/last runs/distilled/last; do
    printf '%s\n' "$model"
    miou "$model" "$(basename "$(dirname "$model")")_$(basename "$model")"
done

step "How often should keyframes come?"
run dcfm calibrate drive4 --model runs/distilled/last --keyframe-hz 3

step "Live"
run dcfm demo --model runs/distilled/last --source synthetic:1003 --seconds 5 --out demo
echo "own model walk: done, in $work"
