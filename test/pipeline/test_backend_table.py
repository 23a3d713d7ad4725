# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of backends: what it names is there, and what it says follows from its entries."""

import importlib.util
import inspect
from pkgutil import resolve_name

import pytest

from dcfm_ros.pipeline import backend_table
from dcfm_ros.pipeline.backend_table import TABLE, BackendEntry, Target

TARGETS = [(entry, target) for entry in TABLE.values() for target in (entry.cpu, entry.gpu) if target]


@pytest.mark.parametrize("entry, target", TARGETS, ids=lambda value: getattr(value, "name", ""))
def test_each_maker_takes_what_make_backend_gives(entry, target):
    module = target.maker.partition(":")[0]
    assert importlib.util.find_spec(module) is not None
    if not entry.is_installed:
        pytest.skip(f"{entry.name} is not installed")
    parameters = inspect.signature(resolve_name(target.maker)).parameters
    assert list(parameters) == ["model", "device", "precision", "sharing", "live"]


def test_each_backend_runs_somewhere_and_auto_always_finds_one():
    assert all(entry.cpu or entry.gpu for entry in TABLE.values())
    for on_gpu in (False, True):
        target = TABLE["torch"].target(on_gpu)  # which the package needs anyway
        assert target is not None and target.rank > 0


def test_auto_takes_the_installed_one_of_the_highest_rank(monkeypatch):
    def entry(name, module, **targets):
        return BackendEntry(name, "", module, "", **targets)

    one, two = Target("m:f", ("f32",), rank=1), Target("m:f", ("f32",), rank=2)
    entries = [entry("slow", "json", cpu=one, gpu=two), entry("fast", "json", cpu=two), entry("off", "json")]
    monkeypatch.setattr(backend_table, "TABLE", {each.name: each for each in entries})
    assert backend_table.names_that_run(on_gpu=False) == ("fast", "slow")
    assert (backend_table.automatic(False), backend_table.automatic(True)) == ("fast", "slow")
    entries[1] = entry("fast", "no_such_module", cpu=two)
    monkeypatch.setattr(backend_table, "TABLE", {each.name: each for each in entries})
    assert backend_table.automatic(False) == "slow"
