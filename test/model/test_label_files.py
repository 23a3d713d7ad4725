# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm model labels`: files for Hydra and Kimera."""

import csv
import re

import pytest
import yaml
from helpers import write_tiny_model

from dcfm_ros.cli import main
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.label_files import write_labels


def read(folder):
    with (folder / "colors.csv").open(newline="") as file:
        return yaml.safe_load((folder / "label_space.yaml").read_text()), list(csv.DictReader(file))


def test_classes_of_a_model(tmp_path):
    model = str(write_tiny_model(tmp_path / "model", classes=5))
    assert main(["model", "labels", "--model", model, "--out", str(tmp_path / "out")]) == 0
    space, colors = read(tmp_path / "out")
    assert space["label_names"] == [
        {"label": number, "name": name}
        for number, name in enumerate(["sky", "road", "tree", "car", "pedestrian"])
    ]
    assert (space["total_semantic_labels"], space["dynamic_labels"], space["invalid_labels"]) == (
        256,
        [3, 4],
        [255],
    )
    assert colors[1] == {
        "name": "road",
        "red": "128",
        "green": "64",
        "blue": "128",
        "alpha": "255",
        "id": "1",
    }
    assert colors[-1]["id"] == "255" and len(colors) == 6


def test_classes_of_a_map_and_named_dynamic_ones(tmp_path):
    (tmp_path / "map.yaml").write_text(
        "{classes: {still: {of: [sky, road, tree], id: 9}, moves: {of: car, id: 2}}}"
    )
    model = str(write_tiny_model(tmp_path / "model"))
    write_labels(model, tmp_path, str(tmp_path / "map.yaml"), ["moves"])
    space, colors = read(tmp_path)
    assert space["dynamic_labels"] == [2] and [row["id"] for row in colors] == ["9", "2", "255"]
    with pytest.raises(ConfigError, match="no class 'car': use some of still, moves"):
        write_labels(model, tmp_path, str(tmp_path / "map.yaml"), ["car"])


@pytest.mark.parametrize("name", ["=1+1", "+1", "-cmd", "@SUM(A1)"])
def test_a_name_that_is_a_formula_is_refused(tmp_path, name):
    """Spreadsheets run it when they open colors.csv."""
    (tmp_path / "map.yaml").write_text(
        yaml.safe_dump({"classes": {name: {"of": ["sky", "road", "tree", "car"]}}})
    )
    model = str(write_tiny_model(tmp_path / "model"))
    with pytest.raises(ConfigError, match=f"class '{re.escape(name)}': a spreadsheet would run .* rename it"):
        write_labels(model, tmp_path / "out", str(tmp_path / "map.yaml"))
    assert not (tmp_path / "out").exists()
