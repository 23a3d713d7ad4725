# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `dcfm` command: argument parsing only; each command calls one function."""

from __future__ import annotations

import sys
from pathlib import Path

from dcfm_ros import environment
from dcfm_ros.cli.bag import add_bag
from dcfm_ros.cli.options import (
    Parser,
    add_model_options,
    add_with_options,
    given,
    height_and_width,
    print_json,
    several,
    write_json,
)
from dcfm_ros.interrupts import Interrupts
from dcfm_ros.pipeline.settings import DEFAULT_MODEL

_INTERRUPTED = 128 + 2  # as shells report the end by SIGINT


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="dcfm", description="Video segmentation by deep common feature mining.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_segment(commands)
    _add_train(commands)
    _add_evaluate(commands)
    add_bag(commands)
    _add_calibrate(commands)
    _add_benchmark(commands)
    _add_soak(commands)
    _add_import(commands)
    _add_export(commands)
    _add_profile(commands)
    _add_model(commands)
    options = parser.parse_args(arguments)
    environment.prepare()
    try:
        with Interrupts():
            return options.run(options) or 0
    except KeyboardInterrupt:
        print(f"dcfm {options.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "dcfm_ros":  # a mistake of ours
            raise
        text = (
            f"the Python package {package} is missing: install it, or run `make setup`" if package else error
        )
        print(f"dcfm {options.command}: {text}", file=sys.stderr)
        return 2
    except (ValueError, RuntimeError, OSError) as error:
        print(f"dcfm {options.command}: {error}", file=sys.stderr)
        return 2


def _add_demo(commands) -> None:
    parser = add_with_options(
        commands, "demo", help="camera node, segmenter node and recorder over ROS topics"
    )
    parser.add_argument("--source", help="synthetic[:SEED], a folder of images, or a video file")
    parser.add_argument("--labels", help="folder of <image stem>.png with class ids, for a folder of images")
    parser.add_argument("--rate", type=float, dest="rate_hz", metavar="RATE", help="images per second")
    parser.add_argument("--seconds", type=float, help="length of synthetic video")
    parser.add_argument("--out")
    add_model_options(parser)
    parser.add_argument("--mode", help="async, sync or two_sided")
    parser.add_argument(
        "--viewer",
        help="watch it in the Rerun viewer: rerun, rerun:web, or a file name ending in .rrd to write",
    )
    parser.set_defaults(run=_demo)


def _demo(options) -> None:
    try:
        from dcfm_ros.ros.tools.demo import DemoOptions, run_demo
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{error.name} is missing: the demo needs ROS 2; run `make demo`, or source a ROS distribution "
            "and this package"
        ) from error
    run_demo(given(DemoOptions, options))


def _add_segment(commands) -> None:
    parser = add_with_options(commands, "segment", help="segment a video or a folder of images, without ROS")
    parser.add_argument("source", help="video file, folder of images, or synthetic[:SEED]")
    parser.add_argument("--labels", help="folder of <image stem>.png with class ids, for a folder of images")
    parser.add_argument("--out")
    add_model_options(parser)
    parser.add_argument("--mode", help="sync, async or two_sided")
    parser.add_argument(
        "--class-map",
        help="class map of the masks: a YAML file or the name of one that comes with the package",
    )
    parser.add_argument("--frames", type=int, help="frames of synthetic video")
    parser.add_argument("--json", default=None, help="write the figures to this file, too")
    parser.set_defaults(run=_segment)


def _segment(options) -> None:
    from dcfm_ros.evaluation.segment_files import SegmentOptions, segment

    report = segment(given(SegmentOptions, options))
    print_json(report, options.json)


def _add_train(commands) -> None:
    parser = commands.add_parser("train", help="train a model from a configuration file")
    parser.add_argument("config", help="YAML file, for example config/train/street11.yaml")
    parser.add_argument("--out", required=True, help="folder for checkpoints and log")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="folder of the configuration's data set NAME, as in camvid=data/camvid; may be repeated",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        dest="changes",
        help="another value than the configuration's, as in seed=1 or data.radius=1; may be repeated",
    )
    parser.add_argument(
        "--init", help="start from this model (built-in name or folder), also with another class list"
    )
    parser.add_argument(
        "--init-encoder",
        metavar="FILE",
        help="start from a pretrained encoder: a file that `dcfm import` reads",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in --out, if there is one"
    )
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="save and stop after so long, to go on with --resume"
    )
    parser.add_argument(
        "--fit", action="store_true", help="with --minutes: make the phases as long as fits into them"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that prepare batches, by default one per core, 8 at most; 0: none",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write curves for TensorBoard into --out, too"
    )
    parser.set_defaults(run=_train)


def _train(options) -> int:
    from dcfm_ros.training.config import load_train_config
    from dcfm_ros.training.loop import train

    config = load_train_config(
        options.config, options.changes, options.data, options.init or "", options.init_encoder or ""
    )
    outcome = train(
        config,
        options.out,
        device=options.device,
        resume=options.resume,
        workers=options.workers,
        minutes=options.minutes,
        fit=options.fit,
        tensorboard=options.tensorboard,
    )
    if outcome.note:
        print(outcome.note)
    return outcome.code


def _add_evaluate(commands) -> None:
    parser = add_with_options(
        commands, "evaluate", help="accuracy and consistency of a model on labelled clips"
    )
    parser.add_argument("source", help="folder of a data set, or synthetic:SEED or synthetic:FIRST-LAST")
    parser.add_argument("--model", help="built-in model name or model folder")
    parser.add_argument("--per-frame", help="also evaluate this per-frame model, as reference")
    parser.add_argument("--split", help="val, if none is given")
    parser.add_argument("--kind", help="auto, vspw, cityscapes, camvid, folder or synthetic")
    parser.add_argument("--limit-clips", type=int, metavar="N", help="only the first N clips")
    parser.add_argument("--modes", type=several(str), help="two_sided, causal, async")
    parser.add_argument(
        "--alignments",
        type=several(str),
        help="what masks take from keyframes: flow (common features moved along), "
        "none (as published), logits (their logits moved along)",
    )
    parser.add_argument("--intervals", type=several(int), help="fixed intervals K, frames")
    parser.add_argument(
        "--aks",
        default="default",
        metavar="THRESHOLD,...",
        help="thresholds of adaptive keyframes; default: spreads around the shipped ones; none",
    )
    parser.add_argument("--min-interval", type=int, help="MinK of adaptive keyframes, frames")
    parser.add_argument("--max-interval", type=int, help="MaxK of adaptive keyframes, frames")
    parser.add_argument("--delays", type=several(int), help="of mode async, frames")
    parser.add_argument("--max-age", type=int, help="of the curve by age of the common feature, frames")
    parser.add_argument(
        "--class-map",
        help="class map by which labels and masks are merged or renamed first: a YAML file or the name of "
        "one "
        "that comes with the package",
    )
    parser.add_argument(
        "--exact-size",
        action="store_true",
        help="network input of just the model's size, as in published "
        "evaluations; else as live, in multiples of 32",
    )
    parser.add_argument("--backend", help="auto, torch, openvino or tensorrt")
    parser.add_argument("--precision", help="auto, f32, bf16 or f16, of the networks' arithmetic")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.add_argument("--memory-gb", type=float, help="for features of a clip; less costs time")
    parser.add_argument("--fps", action="store_true", help="measure times, too")
    parser.add_argument("--out", type=str, help="folder for report.json and plots; '' for none")
    parser.add_argument("--json", default=None, help="write the report to this file, too")
    parser.set_defaults(run=_evaluate)


def _evaluate(options) -> None:
    from dcfm_ros.evaluation.evaluate import EvaluateOptions, evaluate, parse_thresholds
    from dcfm_ros.evaluation.table import evaluation_table

    report = evaluate(given(EvaluateOptions, options, thresholds=parse_thresholds(options.aks)))
    print(evaluation_table(report))
    write_json(report, options.json)


def _add_calibrate(commands) -> None:
    parser = add_with_options(
        commands, "calibrate", help="threshold of adaptive keyframes for a wanted keyframe rate"
    )
    parser.add_argument(
        "source", help="folder of a data set, synthetic:SEED, or a video file; labels are not needed"
    )
    parser.add_argument("--keyframe-hz", type=float, required=True, help="wanted keyframes per second")
    parser.add_argument("--split", help="val, if none is given")
    parser.add_argument(
        "--kind",
        help="auto, vspw, cityscapes, camvid, folder, synthetic, or video: also a folder of images in order",
    )
    parser.add_argument("--model", help="whose input size is used")
    parser.add_argument("--alignment", help="of the node that is calibrated: flow or none")
    parser.add_argument("--min-interval", type=int, help="MinK, frames")
    parser.add_argument("--max-interval", type=int, help="MaxK, frames")
    parser.add_argument("--json", default=None, help="write the report to this file, too")
    parser.set_defaults(run=_calibrate)


def _calibrate(options) -> None:
    from dcfm_ros.evaluation.calibrate import CalibrateOptions, calibrate, calibration_table

    report = calibrate(given(CalibrateOptions, options))
    print(calibration_table(report))
    write_json(report, options.json)


def _add_benchmark(commands) -> None:
    parser = add_with_options(
        commands, "benchmark", help="times of DCFM and of per-frame networks, image in to mask out"
    )
    parser.add_argument(
        "model",
        nargs="?",
        help="built-in model name or model folder, DCFM or per-frame; by default the built-in one",
    )
    parser.add_argument("--backbone", help="instead of a model: random weights, as in mit_b0")
    parser.add_argument("--classes", type=int, metavar="N", help="with --backbone: number of classes")
    parser.add_argument(
        "--size",
        type=height_and_width,
        metavar="HxW",
        help="network input instead of the model's; of "
        "another shape than the camera's, its number of pixels counts",
    )
    parser.add_argument(
        "--camera",
        type=height_and_width,
        metavar="HxW",
        help="size of images and masks, if not the network's",
    )
    parser.add_argument(
        "--source", help="of the images: synthetic[:SEED], a video file, or a folder of images"
    )
    parser.add_argument("--backend", help="auto, torch, openvino or tensorrt")
    parser.add_argument("--precision", help="auto, f32, bf16 or f16, of the networks' arithmetic")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.add_argument("--turns", help="auto, concurrent or sliced: how the deep path runs beside frames")
    parser.add_argument(
        "--rate", type=float, dest="rate_hz", metavar="HZ", help="of the rows with frames at a camera's rate"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="measure for about so long; more narrows the quartiles"
    )
    parser.add_argument(
        "--only",
        type=several(str),
        metavar="GROUP,...",
        help="per_frame, dcfm, schedules, guarantee, steps, upsampling, kernels",
    )
    parser.add_argument("--json", default=None, help="write the report to this file, too")
    parser.set_defaults(run=_benchmark)


def _benchmark(options) -> None:
    from dcfm_ros.benchmark.benchmark import BenchmarkOptions, benchmark
    from dcfm_ros.benchmark.table import benchmark_table

    report = benchmark(given(BenchmarkOptions, options))
    print(benchmark_table(report))
    write_json(report, options.json)


def _add_soak(commands) -> None:
    parser = add_with_options(commands, "soak", help="cameras and segmenter under load over ROS topics")
    parser.add_argument(
        "--source", help="of the images: synthetic[:SEED], a video file, or a folder of images"
    )
    parser.add_argument("--camera", type=height_and_width, metavar="HxW", help="size of the cameras' images")
    parser.add_argument("--encoding", help="rgb8, bgr8, mono8")
    parser.add_argument(
        "--rate", type=float, dest="rate_hz", metavar="RATE", help="images per second of each camera"
    )
    parser.add_argument("--cameras", type=int, metavar="N")
    parser.add_argument("--seconds", type=float, metavar="N")
    add_model_options(parser)
    parser.add_argument("--mode", help="async, sync or two_sided")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        dest="changes",
        help="a parameter of the segmenter; may be repeated",
    )
    parser.add_argument("--json", default=None, help="write the report to this file, too")
    parser.set_defaults(run=_soak)


def _soak(options) -> None:
    try:
        from dcfm_ros.ros.tools.soak import SoakOptions, soak
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{error.name} is missing: soak needs ROS 2; run `make build` and `source scripts/env.bash`, or "
            "source a ROS distribution and this package"
        ) from error
    from dcfm_ros.ros.tools.soak_report import soak_table

    report = soak(given(SoakOptions, options, parameters=tuple(options.changes)))
    print(soak_table(report))
    write_json(report, options.json)


def _add_import(commands) -> None:
    parser = commands.add_parser("import", help="make a model folder of a checkpoint of DCFM or SegFormer")
    parser.add_argument(
        "checkpoint", nargs="+", help="file or folder; of published DCFM both files, encoder and decoder"
    )
    parser.add_argument("--out", required=True, help="model folder to write")
    parser.add_argument(
        "--format", default="auto", help="auto, published, nvlabs, huggingface or efficientnet_lite"
    )
    parser.add_argument(
        "--classes",
        metavar="TABLE",
        help="camvid, cityscapes, vspw, street11, or a file like classes.yaml "
        "of a data set; default: names from the checkpoint, else numbers",
    )
    parser.add_argument(
        "--input-size", type=height_and_width, metavar="HxW", help="as in 480x853; default: 360x480"
    )
    parser.set_defaults(run=_import)


def _import(options) -> None:
    from dcfm_ros.model.config import ClassSpec
    from dcfm_ros.model.importing.import_model import import_model
    from dcfm_ros.sources.classes import CLASS_TABLES
    from dcfm_ros.sources.clips.classes_file import read_classes

    table = None
    if options.classes:
        table = CLASS_TABLES.get(options.classes) or read_classes(Path(options.classes)).table
        table = [ClassSpec(name, color) for name, color in table]
    imported = import_model(
        options.checkpoint, options.out, format=options.format, classes=table, input_size=options.input_size
    )
    print(imported)
    print(f"written to {options.out}")


def _add_export(commands) -> None:
    parser = add_with_options(
        commands, "export", help="the parts of a model as ONNX, for OpenVINO or for TensorRT"
    )
    parser.add_argument("model", help="built-in model name or model folder")
    parser.add_argument("--format", help="onnx, openvino, or tensorrt: engines for this machine's GPU")
    parser.add_argument(
        "--out", metavar="FOLDER", help="to write; without it engines go to where the node looks for them"
    )
    parser.add_argument(
        "--size",
        type=height_and_width,
        metavar="HxW",
        help="of the network's input, as in 352x480; default: as for a camera of the model's shape",
    )
    parser.add_argument("--precision", help="f32 or f16, of the networks' arithmetic")
    parser.add_argument("--device", help="cuda or cuda:N, of tensorrt")
    parser.set_defaults(run=_export)


def _export(options) -> None:
    from dcfm_ros.pipeline.export.export import ExportOptions, export

    print(export(given(ExportOptions, options)))


def _add_model(commands) -> None:
    group = commands.add_parser("model", help="the classes of a model as files").add_subparsers(
        dest="of", required=True, metavar="COMMAND"
    )
    parser = group.add_parser("labels", help="label space for Hydra, and colours for Hydra and Kimera")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="built-in model name or model folder")
    parser.add_argument(
        "--class-map",
        default=None,
        help="of the segmenter: a YAML file or the name of one that comes with the package",
    )
    parser.add_argument(
        "--dynamic",
        type=several(str),
        help="names of the classes that move; default: people, animals and vehicles",
    )
    parser.add_argument("--out", default="out/labels", metavar="FOLDER")
    parser.set_defaults(run=_labels)


def _labels(options) -> None:
    from dcfm_ros.model.label_files import write_labels

    for file in write_labels(options.model, Path(options.out), options.class_map or "", options.dynamic):
        print(file)


def _add_profile(commands) -> None:
    parser = commands.add_parser(
        "profile", help="parameters of a model, and multiply-accumulates path by path"
    )
    parser.add_argument("model", help="built-in model name, model folder, or training configuration (.yaml)")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="as for `dcfm train`, of a configuration that takes its classes from its data",
    )
    parser.add_argument(
        "--size", metavar="HxW", help="input size in pixels, as in 480x853, instead of the model's"
    )
    parser.add_argument("--json", help="write the report to this file, too")
    parser.set_defaults(run=_profile)


def _profile(options) -> None:
    from dcfm_ros.model.folder import load_model_config
    from dcfm_ros.model.profile import profile, profile_table, sized

    if options.model.endswith((".yaml", ".yml")):
        from dcfm_ros.training.config import load_train_config

        config = load_train_config(options.model, roots=options.data).model
    elif options.data:
        raise ValueError(
            f"--data {options.data[0]}: {options.model} has its own classes; only a configuration takes data"
        )
    else:
        config = load_model_config(options.model)
    report = profile(sized(config, options.size) if options.size else config)
    print(profile_table(report))
    write_json(report, options.json)
