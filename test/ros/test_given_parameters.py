# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was given to a node at its start and does nothing is told."""

import pytest

from dcfm_ros.ros.given_parameters import files_of_others, why_unreadable

NODE = "/robot1/dcfm/segmenter"


@pytest.mark.parametrize(
    "key, fits",
    [
        ("/**", True),
        ("/**/segmenter", True),
        ("/robot1/dcfm/segmenter", True),
        ("robot1/dcfm/segmenter", True),
        ("/*/dcfm/segmenter", True),
        ("/robot1/**", True),
        ("/*/segmenter", False),
        ("/dcfm/segmenter", False),
        ("/robot1/dcfm/segmentor", False),
        ("/robot1/dcfm/segmenter2", False),
    ],
)
def test_a_file_without_a_word_for_the_node_is_told(tmp_path, key, fits):
    (file := tmp_path / "a.yaml").write_text(f"{key}:\n  ros__parameters: {{threshold: 0.3}}\n")
    found = files_of_others(NODE, ["segmenter", "--ros-args", "--params-file", str(file), "-p", "a:=1"])
    expected = [
        f"parameters file {file} has nothing for {NODE}: it names /{key.strip('/')}; /** means every node"
    ]
    assert found == ([] if fits else expected)


def test_names_may_be_split_over_levels(tmp_path):
    (file := tmp_path / "a.yaml").write_text(
        "robot1:\n  dcfm:\n    segmenter:\n      ros__parameters: {threshold: 0.3}\n"
        "    other: {ros__parameters: {}}\n"
    )
    assert files_of_others(NODE, ["--params-file", str(file)]) == []
    (told,) = files_of_others("/segmenter", ["--params-file", str(file)])
    assert "it names /robot1/dcfm/segmenter, /robot1/dcfm/other;" in told


def test_files_that_say_nothing_are_none_of_our_concern(tmp_path):
    for text in ("", "[]", "a: [", "/**: 5"):
        (file := tmp_path / "a.yaml").write_text(text)
        assert files_of_others(NODE, ["--params-file", str(file), "--params-file", "/no/such"]) == []


def test_the_line_of_a_tab_is_told(tmp_path):
    (file := tmp_path / "a.yaml").write_text("/**:\n  ros__parameters:\n\tthreshold: 0.3\n")
    assert why_unreadable(["--params-file", str(file)]) == (
        f"{file}, line 3: it begins with a tab, and YAML takes spaces"
    )
    file.write_text("/**:\n  ros__parameters: {a: 'b}\n")
    assert why_unreadable(["--params-file", str(file)]).startswith(f"{file}, line ")


@pytest.mark.slow
def test_a_camera_tells_them_too(processes, tmp_path):
    (file := tmp_path / "a.yaml").write_text("/camera1:\n  ros__parameters: {rate: 3.0}\n")
    process = processes("camera", "-p", "sorce:=drive.mcap", "--params-file", str(file))
    process.wait_for_text("unknown parameter sorce: do you mean source?")
    process.wait_for_text(f"{file} has nothing for /camera: it names /camera1")


@pytest.mark.slow
def test_a_file_with_a_tab_ends_it_with_its_line(processes, tmp_path):
    (file := tmp_path / "a.yaml").write_text("/**:\n\tros__parameters: {}\n")
    process = processes("segmenter", "--params-file", str(file))
    assert process.wait() == 1
    assert f"{file}, line 2: it begins with a tab, and YAML takes spaces" in process.text()


@pytest.mark.slow
def test_a_file_that_ros_would_read_for_ever_ends_it(processes, tmp_path):
    """ROS takes minutes for it, longer than this waits."""
    (file := tmp_path / "a.yaml").write_text(f"/**:\n  ros__parameters: {{a: {'[' * 400_000}")
    process = processes("segmenter", "--params-file", str(file))
    assert process.wait() == 1
    assert f"cannot be read: {file}, line 2: its entries are nested too deep" in process.text()
