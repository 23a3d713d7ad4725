# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model folder tells of its training: data and their terms, hardware and versions, and no path of the
machine."""

import json

import pytest
import torch
import yaml

from dcfm_ros.training.datasets import open_data
from dcfm_ros.training.group import Group
from dcfm_ros.training.record import training_record
from dcfm_ros.training.settings import ValidationConfig


@pytest.fixture
def record(train_config, held_out, tmp_path):
    config = train_config(
        seed=7, validation=ValidationConfig("folder", root=str(held_out)), init=str(tmp_path / "start")
    )
    data, validation = open_data(config)
    return training_record(
        config,
        (*data, None),
        validation,
        Group(0, 2, torch.device("cpu")),
        "bfloat16",
        {"iterations_done": 3, "losses": {"ce_key": 1.0}},
    )


def test_what_it_holds(record):
    assert record["data"] == [{"name": "stills (no splits)", "terms": "made by the test"}]
    assert record["validation_data"] == {"name": "held_out (no splits)", "terms": "made by the test"}
    assert (record["iterations_done"], record["losses"], record["seed"]) == (3, {"ce_key": 1.0}, 7)
    assert record["hardware"].endswith(", bfloat16, 2 processes") and " cores of " in record["hardware"]
    assert {"python", "torch", "numpy"} <= set(record["versions"])
    assert record["configuration"]["phases"][0]["batch"] == 2 and "model" not in record["configuration"]


def test_no_path_is_in_it(record, tmp_path):
    assert str(tmp_path) not in json.dumps(record) and record["configuration"]["init"] == "start"
    assert (
        record["configuration"]["data"]["sources"][0]["root"]
        == record["configuration"]["validation"]["root"]
        == ""
    )


def test_it_is_plain(record):
    assert yaml.safe_load(yaml.safe_dump(record)) == json.loads(json.dumps(record)) == record
