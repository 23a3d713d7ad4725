#!/usr/bin/env bash
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
# Does `ros2 launch` bring up a segmenter that makes masks, on its own and in a namespace? Needs a ROS distribution, the
# package built (`make build`), and a minute or two:
#     source /opt/ros/jazzy/setup.bash && source scripts/env.bash && scripts/launch_check.bash
# LIMIT is the number of seconds that a mask may take (180).
set -euo pipefail
set -m # children get process groups of their own, and so can be ended with their children

limit=${LIMIT:-180}
# Away from everything else that runs here.
export ROS_DOMAIN_ID=$((1 + $$ % 100)) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
work=$(mktemp -d)
started=()

end_children() { # bounded, and with SIGKILL only for what does not end by itself
    local pid
    for pid in "${started[@]}"; do kill -INT -- "-$pid" 2>/dev/null || true; done
    for _ in {1..100}; do
        alive=0
        for pid in "${started[@]}"; do kill -0 -- "-$pid" 2>/dev/null && alive=1; done
        [ "$alive" = 1 ] || break
        sleep 0.2
    done
    for pid in "${started[@]}"; do kill -KILL -- "-$pid" 2>/dev/null || true; done
    wait "${started[@]}" 2>/dev/null || true
    started=()
}
trap 'end_children; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

fail() { # message, log files
    echo "launch check: FAILED: $1" >&2
    for log in "${@:2}"; do
        echo "--- the end of ${log##*/}" >&2
        tail -n 30 "$log" >&2
    done
    exit 1
}

start() { # name of the log, command
    "${@:2}" >"$work/$1.log" 2>&1 </dev/null &
    started+=($!)
}

check() { # title, image topic of the camera, mask topic, arguments of `ros2 launch`
    echo "launch check: $1: ros2 launch ${*:4}"
    start camera ros2 run dcfm_ros camera --ros-args -p source:=synthetic -p loop:=true -p "image_topic:=$2"
    start launch ros2 launch "${@:4}"
    # With its type: otherwise `echo` ends at once where nobody publishes yet.
    start mask timeout "$limit" ros2 topic echo --no-daemon --once --no-arr "$3" sensor_msgs/msg/Image
    local camera=${started[0]} launch=${started[1]} mask=${started[2]} first="" code=0
    wait -n -p first "${started[@]}" || code=$?
    case $first in
        "$camera") fail "$1: the camera ended ($code)" "$work/camera.log" ;;
        "$launch") fail "$1: ros2 launch ended ($code) before there was a mask" "$work/launch.log" ;;
        "$mask") [ "$code" = 0 ] || fail "$1: no mask on $3 within $limit s ($code)" "$work"/{camera,launch,mask}.log ;;
    esac
    grep -q "encoding: mono8" "$work/mask.log" || fail "$1: what came on $3 is no mask" "$work/mask.log"
    end_children
    echo "launch check: $1: a mask on $3"
}

command -v ros2 >/dev/null || fail "there is no command ros2: source a ROS distribution first"
ros2 pkg prefix dcfm_ros >/dev/null 2>&1 || fail "dcfm_ros is not found: make build, then source scripts/env.bash"
ros2 launch dcfm_ros segment.launch.py --show-args >"$work/arguments.log" 2>&1 </dev/null \
    || fail "segment.launch.py cannot be loaded" "$work/arguments.log"

check "alone" /camera/image_raw /dcfm/mask dcfm_ros segment.launch.py image:=/camera/image_raw

# As a robot's bringup would include it. A relative image topic belongs to the robot's namespace.
cat >"$work/robot.launch.py" <<'END'
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import PushRosNamespace
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    segment = PathJoinSubstitution([FindPackageShare("dcfm_ros"), "launch", "segment.launch.py"])
    return LaunchDescription([GroupAction([
        PushRosNamespace("robot1"),
        IncludeLaunchDescription(segment, launch_arguments={"image": "camera/image_raw"}.items()),
    ])])
END
check "in a namespace" /robot1/camera/image_raw /robot1/dcfm/mask "$work/robot.launch.py"
echo "launch check: passed"
