# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands `dcfm bag …`: argument parsing only."""

from __future__ import annotations

from dcfm_ros.cli.options import add_model_options, add_with_options, given, print_json, write_json


def add_bag(commands) -> None:
    group = commands.add_parser("bag", help="recordings (rosbag2): evaluate, segment, make").add_subparsers(
        dest="bag_command", required=True, metavar="COMMAND"
    )
    _add_bag_evaluate(group)
    _add_bag_segment(group)
    _add_bag_make(group)


def _add_bag_evaluate(commands) -> None:
    parser = add_with_options(
        commands, "evaluate", help="how good, how fast and how steady masks are on a recording"
    )
    _add_fleet_options(parser)
    _add_replay_options(parser)
    parser.add_argument(
        "--labels",
        action="append",
        metavar="TOPIC|FOLDER",
        help="class ids: a topic for each camera in their "
        "order, or one folder of <stamp in ns>.png; may be repeated",
    )
    parser.add_argument(
        "--no-per-frame",
        action="store_false",
        dest="per_frame",
        help="without the run in which every frame is a keyframe",
    )
    parser.add_argument("--no-page", action="store_false", dest="page", help="without report.html")
    parser.add_argument(
        "--video", type=float, dest="video_s", metavar="SECONDS", help="of the recording, in report.html"
    )
    parser.add_argument(
        "--out",
        help="folder for report.json and report.html; out/<name of the recording>; of "
        "several recordings one for all, out/bags",
    )
    parser.add_argument("--json", default=None, help="write the report to this file, too")
    parser.set_defaults(run=_bag_evaluate)


def _add_fleet_options(parser) -> None:
    parser.add_argument(
        "bags",
        nargs="+",
        metavar="BAG",
        help="folder with metadata.yaml, or file .mcap or .db3; or several, folders that hold some, globs",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="recordings at a time; 1, on Ray one for each machine"
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="of a Ray cluster, as `ray start --head` printed it; auto; local"
    )


def _add_replay_options(parser) -> None:
    parser.add_argument(
        "--topic",
        action="append",
        dest="topics",
        metavar="TOPIC",
        help="of a camera; may be repeated. Default: all that look like cameras",
    )
    add_model_options(parser)
    parser.add_argument("--mode", help="sync or two_sided")
    parser.add_argument("--min-interval", type=int, help="MinK, frames")
    parser.add_argument("--max-interval", type=int, help="MaxK, frames")
    parser.add_argument("--alignment", help="do common features move with the scene: flow or none")
    parser.add_argument("--aks-score", help="what AKS compares with the threshold: auto, residual or paper")
    parser.add_argument("--threshold", type=float, help="AKS score from which a frame becomes a keyframe")
    parser.add_argument(
        "--cut-threshold", type=float, help="difference to the frame before from which it is a hard cut"
    )
    parser.add_argument(
        "--viewer",
        help="watch it in the Rerun viewer: rerun, rerun:web, or a file name ending in .rrd to write",
    )


def _bag_evaluate(options) -> int:
    from dcfm_ros.bags.evaluate import evaluate_bag
    from dcfm_ros.bags.fleet import FleetOptions, evaluate_fleet
    from dcfm_ros.bags.options import BagEvaluateOptions
    from dcfm_ros.bags.progress_bar import with_progress
    from dcfm_ros.reports.replay_table import replay_table

    fleet = given(FleetOptions, options)
    if fleet.only_bag is None:
        return _tell_fleet(evaluate_fleet(fleet, given(BagEvaluateOptions, options, bag="")), options.json)
    report = with_progress(evaluate_bag, given(BagEvaluateOptions, options, bag=fleet.only_bag)).report
    print(replay_table(report))
    write_json(report, options.json)
    return 0


def _tell_fleet(summary: dict, json_file: str | None) -> int:
    from dcfm_ros.reports.fleet_table import fleet_table

    print(fleet_table(summary))
    write_json(summary, json_file)
    return 1 if summary["counts"].get("failed") else 0


def _add_bag_segment(commands) -> None:
    parser = add_with_options(
        commands, "segment", help="masks of a recording as a recording; goes on where it was stopped"
    )
    _add_fleet_options(parser)
    parser.add_argument(
        "-o", "--out", required=True, help="folder of the new recording; of several a folder for all"
    )
    _add_replay_options(parser)
    parser.add_argument(
        "--all", action="store_true", dest="all_topics", help="copy the original messages as well"
    )
    parser.add_argument("--storage", help="mcap or sqlite3")
    parser.add_argument("--compression", help="zstd or none; zstd for mcap, none for sqlite3")
    parser.add_argument(
        "--part", type=int, dest="part_images", metavar="IMAGES", help="in one file of the output"
    )
    parser.add_argument("--json", default=None, help="write the report to this file, too")
    parser.set_defaults(run=_bag_segment)


def _bag_segment(options) -> int:
    from dcfm_ros.bags.fleet import FleetOptions, segment_fleet
    from dcfm_ros.bags.progress_bar import with_progress
    from dcfm_ros.bags.segment import BagSegmentOptions, segment_bag

    fleet = given(FleetOptions, options)
    if fleet.only_bag is None:
        return _tell_fleet(segment_fleet(fleet, given(BagSegmentOptions, options, bag="")), options.json)
    print_json(
        with_progress(segment_bag, given(BagSegmentOptions, options, bag=fleet.only_bag)), options.json
    )
    return 0


def _add_bag_make(commands) -> None:
    parser = add_with_options(
        commands, "make", help="a recording of a folder of images, with labels where there are some"
    )
    parser.add_argument(
        "source", help="folder of images, or of images/ and labels/; video file; synthetic[:SEED]"
    )
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--labels", help="folder of <image stem>.png with class ids, for a folder of images")
    parser.add_argument(
        "--rate",
        type=float,
        dest="rate_hz",
        metavar="RATE",
        help="images per second; default: a video file's own times, 15 of images",
    )
    parser.add_argument(
        "--frames", type=int, help="at most so many; default: all of a file, 300 of an endless source"
    )
    parser.add_argument("--storage", help="mcap or sqlite3")
    parser.add_argument("--image-topic")
    parser.add_argument("--label-topic")
    parser.add_argument("--frame-id")
    parser.set_defaults(run=_bag_make)


def _bag_make(options) -> None:
    from dcfm_ros.bags.make import MakeOptions, make_bag

    print_json(make_bag(given(MakeOptions, options)), None)
