# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every argument that a release has had stays accepted: scripts of users rely on them."""

import pytest

from dcfm_ros.cli import COMMANDS, _module, make_parser
from dcfm_ros.cli.arguments import settings_from

MODEL = "--model m --backend torch --precision f32"
BAGS = (
    f"a.mcap b.mcap --workers 2 --ray local --topic /a --topic /b {MODEL} --mode two_sided --min-interval 3 "
)
BAGS += (
    "--max-interval 9 --alignment none --aks-score paper --threshold 0.5 --cut-threshold 1 --viewer rerun "
)
BAGS += "--json r.json"
# All arguments of each command, with values, as of the last commit in which parsers were written by hand.
ACCEPTED = {
    "demo": f"--source synthetic:3 --labels l --rate 5 --seconds 9 --out o {MODEL} --mode sync "
    "--viewer rerun",
    "segment": f"a.mp4 --labels l --out o {MODEL} --mode async --class-map m --frames 9 --json r.json",
    "train": "c.yaml --out o --data camvid=a --data vspw=b --set seed=1 --set data.radius=1 --init m "
    "--init-encoder e.pth --resume --minutes 2.5 --fit --device cpu --workers 0 --tensorboard",
    "evaluate": f"data {MODEL} --per-frame b --split test --kind camvid --limit-clips 2 --modes causal,async "
    "--alignments flow,logits --intervals 1,2 --aks 0.2,0.4 --min-interval 3 --max-interval 9 --delays 1,2 "
    "--max-age 5 --class-map m --exact-size --device cpu --memory-gb 2 --fps --out o --json r.json",
    "bag evaluate": f"{BAGS} --labels /l --labels /k --no-per-frame --no-page --video 5 --out o",
    "bag segment": f"{BAGS} -o o --all --storage sqlite3 --compression none --part 9",
    "bag make": "images out --labels l --rate 5 --frames 9 --storage mcap --image-topic /a --label-topic /b "
    "--frame-id f --json r.json",
    "bag frames": f"a.mcap images -n 9 --out o --topic /a --topic /b --every 1 --neighbours 2 {MODEL} "
    "--classes c --rate 5 --format png --json r.json",
    "data import": "a.zip b.json --out o --format cvat --frames f --images i --classes camvid --map a=b "
    "--map c= --class-map m --background b --val 0.2 --link",
    "distil": "--teacher t.onnx --data a.mcap b.mp4 --data images --out o --student m --class-map c "
    "--classes camvid --teacher-mean 0,0,0 --teacher-std 1,1,1 --topic /a --topic /b --frames 99 --radius 4 "
    "--stills --movable car,bus --held-out 0.2 --seed 1 --config c.yaml --set a=1 --set b=2 --minutes 5 "
    "--labelled d --resume --device cpu --workers 0",
    "calibrate": "data --keyframe-hz 2 --split train --kind video --model m --alignment none "
    "--min-interval 3 --max-interval 9 --json r.json",
    "plan": "--camera 640x480 --rate 15 --cameras 2 --share 0.6 --model m --model n --backend torch "
    "--device cpu --precision f32 --mask-size 0.5 --seconds 20 --out p.yaml --json r.json",
    "benchmark": "m --classes 9 --size 64x96 --camera 64x96 --source a.mp4 --backend torch --precision f32 "
    "--device cpu --turns sliced --rate 5 --seconds 9 --only dcfm,steps --json r.json --backbone mit_b0",
    "soak": "--source a.mp4 --camera 64x96 --encoding mono8 --rate 5 --cameras 2 --seconds 9 "
    f"{MODEL} --mode sync --set max_interval:=5 --set lazy:=true --json r.json",
    "import": "a.pth b.pth --out o --format nvlabs --classes camvid --input-size 64x96 --prefix ema",
    "export": "m --format tensorrt --out o --size 64x96 --precision f16 --device cuda:1",
    "profile": "m --data vspw=a --data b --size 64x96 --json r.json",
    "model labels": "--model m --class-map c --dynamic car,bus --out o",
}


def test_every_command_is_in_the_table():
    assert ACCEPTED.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", ACCEPTED)
def test_all_arguments_are_accepted(command):
    words = [*command.split(), *ACCEPTED[command].split()]
    given = vars(make_parser(words).parse_args(words))
    options = [word for word in words if word.startswith("-")]
    assert all(given.pop(name, "") for name in ("command",)) and given.pop("of_group", "") in command
    assert len(given) >= len(set(options))  # each has a value of its own


@pytest.mark.parametrize("command", [name for name in ACCEPTED if name not in ("benchmark",)])
def test_their_values_are_accepted(command):
    """Those of the benchmark are not all for one run."""
    words, module = [*command.split(), *ACCEPTED[command].split()], _module(COMMANDS[command])
    given = make_parser(words).parse_args(words)
    del given.command
    vars(given).pop("of_group", None)
    made = settings_from(given, module.SETTINGS, getattr(module, "FIXED", None))
    assert [type(one) for one in made] == list(module.SETTINGS)


@pytest.mark.parametrize(
    "line, name, value",
    [
        ("bag segment a.mcap --out o", "out", "o"),  # of -o
        ("evaluate data --aks default", "thresholds", None),
        ("evaluate data --aks none", "thresholds", ()),
        ("evaluate data --delays= --modes causal", "delays", ()),
        ("evaluate data --out=", "out", ""),
        ("bag evaluate a.mcap --no-page", "page", False),
        ("benchmark --size 64x96", "size", (64, 96)),
        ("export m --si 64x96", "size", (64, 96)),  # an abbreviation
    ],
)
def test_forms_of_values(line, name, value):
    assert vars(make_parser(line.split()).parse_args(line.split()))[name] == value
