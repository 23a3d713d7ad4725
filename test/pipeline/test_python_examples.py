# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of README.md and docs/python.md run as they stand there, but for the webcam and the window."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


(README,) = programs("README.md")
FIRST, WEBCAM = programs("docs/python.md")


def test_the_one_of_the_readme(capsys):
    exec(compile(README, "README.md", "exec"), {})
    assert capsys.readouterr().out == "(360, 480)\n"


@pytest.mark.slow
def test_eight_lines(capsys):
    exec(compile(FIRST, "docs/python.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "0 True (360, 480)",
        "1 False (360, 480)",
        "2 False (360, 480)",
    ]


@pytest.mark.slow
def test_webcam(monkeypatch):
    shown, pictures = [], iter(np.full((30, 120, 160, 3), 90, np.uint8))

    class Webcam:
        def __init__(self, number):
            self.number = number

        def isOpened(self):
            return True

        def read(self):
            return True, next(pictures, np.full((120, 160, 3), 90, np.uint8))

    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append(picture), raising=False)
    monkeypatch.setattr(cv2, "waitKey", lambda ms: 27 if shown else -1, raising=False)
    exec(compile(WEBCAM, "docs/python.md", "exec"), {})
    assert shown[0].shape == (120, 160, 3) and shown[0].dtype == np.uint8
