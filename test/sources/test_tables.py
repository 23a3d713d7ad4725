# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of sources and data sets: what they name is there."""

import inspect
from importlib import import_module

import pytest

from dcfm_ros.sources.data_sets import CLASS_TABLES, DATA_SETS, DataSet, class_table, layouts
from dcfm_ros.sources.source_kinds import SOURCE_KINDS, source_forms


@pytest.mark.parametrize("entry", [*DATA_SETS.values(), *SOURCE_KINDS], ids=lambda entry: entry.kind)
def test_each_module_has_its_two_functions(entry):
    module = import_module(entry.module)
    opens, wanted = (
        ("open_split", ["root", "split"]) if isinstance(entry, DataSet) else ("open_video", ["request"])
    )
    assert len(inspect.signature(module.recognises).parameters) == 1
    assert list(inspect.signature(getattr(module, opens)).parameters) == wanted


def test_class_tables_by_name():
    assert CLASS_TABLES == ("vspw", "cityscapes", "camvid", "street11")
    assert {name: len(class_table(name)) for name in CLASS_TABLES} == dict(
        vspw=124, cityscapes=19, camvid=11, street11=11
    )
    assert class_table("synthetic") == class_table("street11")


def test_words_for_help_and_errors():
    assert source_forms() == "synthetic[:SEED], a folder of images, or a video file"
    assert layouts().endswith("soft labels (soft_labels.json) or your own (classes.yaml)")
