# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of an export, by writers that write hardly anything: its record, and no folder where parts
differ from PyTorch."""

import pytest
import yaml
from helpers import one_thread, tiny_model  # noqa: F401

from dcfm_ros.model.onnx_export import ExportError
from dcfm_ros.pipeline.export.folder import write_export
from dcfm_ros.pipeline.export.record import RECORD_FILE, read_record


def written(folder, run):
    """The record of an export whose parts give what `run` does."""

    def writer(parts, part_folder, precision):
        (part_folder / "networks.bin").write_bytes(b"networks")
        return [part_folder / "networks.bin"], run

    return write_export(
        folder, "onnx", writer, tiny_model(), "tiny", (64, 96), "f32", {"gpu": "NVIDIA Paper 9.9"}
    )


def test_the_record_lies_beside_the_files(tmp_path):
    record = written(tmp_path / "out", lambda part: part.output.numpy())
    assert read_record(tmp_path / "out") == record
    assert (
        list(record.sha256) == ["networks.bin"]
        and (tmp_path / "out" / "networks.bin").read_bytes() == b"networks"
    )
    assert record.differences == {"shallow": 0, "deep": 0, "align": 0, "decoder": 0}
    assert record.versions["gpu"] == "NVIDIA Paper 9.9" and "torch" in record.versions


def test_what_nothing_can_run_is_not_compared(tmp_path):
    assert written(tmp_path / "out", None).differences is None


def test_parts_that_differ_too_much_are_not_written(tmp_path):
    with pytest.raises(ExportError, match="deep in f32 differs from PyTorch by .*: nothing was written"):
        written(tmp_path / "out", lambda part: part.output.numpy() + (part.name == "deep"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sha256", [{}, [], {None: "0"}, {"/etc/passwd": "0"}, {"../model.yaml": "0"}])
def test_a_record_that_names_other_files_is_refused(tmp_path, sha256):
    written(tmp_path / "out", None)
    path = tmp_path / "out" / RECORD_FILE
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "sha256": sha256}))
    with pytest.raises(
        ExportError, match="export.yaml is not what an export writes .it names .*: export again"
    ):
        read_record(tmp_path / "out")
