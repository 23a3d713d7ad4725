# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run on a GPU machine needs, in one folder."""

import json
from pathlib import Path

import gpu_run
import pytest
from gpu import packing
from helpers import write_tiny_model

ROOT = Path(__file__).parents[2]


def test_a_pack_is_new_and_not_too_large(camvid, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packing, "MOST_BYTES", 1_000_000)
    with pytest.raises(SystemExit, match="2"):
        gpu_run.main(["pack", str(tmp_path / "pack"), "--data", f"camvid={camvid}"])
    assert (
        "MB are more than 1, " in (said := capsys.readouterr().err)
        and "/config: pack less data or a smaller" in said
    )
    assert not (tmp_path / "pack").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for place, message in (
        (tmp_path / "full", "is not empty: give a new folder"),
        (ROOT / "dcfm_ros" / "pack", "which is packed: give a folder elsewhere"),
        (camvid / "train" / "pack", "which is packed: give a folder elsewhere"),
    ):
        with pytest.raises(SystemExit, match="2"):
            gpu_run.main(["pack", str(place), "--data", f"camvid={camvid}"])
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_pack_has_what_it_is_given_and_tells_what_is_wrong_with_it(camvid, tmp_path, capsys):
    config, model = tmp_path / "mine.yaml", write_tiny_model(tmp_path / "mine")
    config.write_text((ROOT / gpu_run.CONFIG).read_text().replace("classes: street11", "classes: [a, b]"))
    options = ["--data", f"camvid={camvid}", "--config", str(config), "--init", str(model)]
    assert gpu_run.main(["pack", str(tmp_path / "pack"), *options]) == 1
    assert "but its training cannot begin: " in capsys.readouterr().out
    known = json.loads((tmp_path / "pack" / "pack.json").read_text())
    assert known["data"] == {"camvid": "data/camvid"} and (known["config"], known["init"]) == (
        "train.yaml",
        "init",
    )
    assert (tmp_path / "pack" / "init" / "weights.safetensors").is_file()
    assert not list((tmp_path / "pack").rglob("*.pyc"))
