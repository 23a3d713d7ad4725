# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contents of an .rrd file, read back with the library's own reader, and the servers of the web viewer."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
from viewer_helpers import Recorded
from waiting_helpers import until

from dcfm_ros.viewer import rerun_program, rerun_scene
from dcfm_ros.viewer.rerun_program import is_our_own
from dcfm_ros.viewer.viewer import open_viewer

STAMPS = [1_700_000_000_123_456_789 + 66_666_667 * number for number in range(4)]
CLASSES = [(0, "road", (128, 64, 128)), (7, "sky", (1, 2, 255))]
ROOT = Path(__file__).parents[2]


def image(number: int) -> np.ndarray:
    return np.full((32, 48, 3), (40 * number, 200, 90), np.uint8)


def mask(number: int) -> np.ndarray:
    values = np.full((32, 48), number % 2, np.uint8)
    values[:4] = 255
    return values


def record(path, cameras=("",), with_reference=False) -> Recorded:
    shown = open_viewer(str(path))
    shown.classes(CLASSES)
    for camera in cameras:
        for number, stamp_ns in enumerate(STAMPS):
            shown.frame(
                camera,
                stamp_ns,
                image(number),
                mask(number),
                0.1 * number,
                0.32,
                number == 2,
                number,
                mask(number + 1) if with_reference else None,
            )
        shown.keyframe(camera, STAMPS[2], "deviation", 0.25)
    shown.close()
    assert (shown.errors, shown.left_out) == (0, 0)
    return Recorded(path)


def test_a_file_holds_everything_at_its_stamps(tmp_path):
    found = record(tmp_path / "new" / "drive.rrd")
    assert found.recordings == 1 and found.blueprints == 1
    masks, images = found.masks("/camera/mask"), found.images("/camera/image")
    assert list(masks) == list(images) == STAMPS
    for number, stamp_ns in enumerate(STAMPS):
        np.testing.assert_array_equal(masks[stamp_ns], mask(number))
        assert images[stamp_ns].shape == (32, 48, 3)
        assert np.abs(images[stamp_ns].astype(int) - image(number)).max() <= 4  # JPEG
    assert found.scalars("/camera/scheduling/score") == pytest.approx(
        {s: 0.1 * n for n, s in enumerate(STAMPS)}
    )
    assert found.scalars("/camera/scheduling/threshold") == dict.fromkeys(STAMPS, 0.32)
    assert found.scalars("/camera/scheduling/due") == {STAMPS[2]: 0.2}
    assert found.scalars("/camera/scheduling/keyframe") == {STAMPS[2]: 0.25}
    assert found.scalars("/camera/feature_age") == {stamp: number for number, stamp in enumerate(STAMPS)}
    assert found.texts("/camera/keyframes") == {STAMPS[2]: "deviation 0.25"}
    assert found.classes() == {0: ("road", 0x804080FF), 7: ("sky", 0x0102FFFF), 255: ("unlabelled", 0)}


def test_cameras_and_per_frame_masks_lie_beside_each_other(tmp_path):
    found = record(tmp_path / "drive.rrd", cameras=("front", "rear"), with_reference=True)
    for camera in ("front", "rear"):
        np.testing.assert_array_equal(found.masks(f"/{camera}/per_frame")[STAMPS[1]], mask(2))
        assert list(found.masks(f"/{camera}/mask")) == STAMPS
        assert found.texts(f"/{camera}/keyframes") == {STAMPS[2]: f"{camera}: deviation 0.25"}
    assert not any(entity.startswith("/camera") for entity in found.entities)


def test_what_is_unknown_is_left_out(tmp_path):
    shown = open_viewer(str(tmp_path / "drive.rrd"))
    shown.frame("", STAMPS[0], None, mask(0), None, None, True, None)
    shown.close()
    assert shown.errors == 0
    found = Recorded(tmp_path / "drive.rrd")
    assert list(found.masks("/camera/mask")) == STAMPS[:1]
    assert found.images("/camera/image") == {}
    assert all(
        found.scalars(f"/camera/{name}") == {}
        for name in ("scheduling/score", "scheduling/due", "feature_age")
    )


def test_bgr_views_and_odd_strides_are_shown_as_they_are(tmp_path):
    """Images as decoded: a view with reversed channels of a picture with padded rows."""
    shown = open_viewer(str(tmp_path / "drive.rrd"))
    padded = np.zeros((32, 64, 3), np.uint8)
    padded[:, :48] = image(3)[..., ::-1]
    shown.frame("", STAMPS[0], padded[:, :48, ::-1], padded[:, :48, 0], 0.0, None, False, 0)
    shown.close()
    assert shown.errors == 0
    found = Recorded(tmp_path / "drive.rrd")
    assert np.abs(found.images("/camera/image")[STAMPS[0]].astype(int) - image(3)).max() <= 4
    np.testing.assert_array_equal(found.masks("/camera/mask")[STAMPS[0]], padded[:, :48, 0])


def test_what_cannot_be_shown_is_counted_and_the_rest_is_there(tmp_path, caplog):
    shown = open_viewer(str(tmp_path / "drive.rrd"))
    shown.frame("", STAMPS[0], None, np.zeros((2, 3, 5), np.uint8), 0.1, 0.3, False, 0)  # no mask
    shown.frame("", STAMPS[1], None, mask(1), 0.1, 0.3, False, 0)
    with caplog.at_level(logging.WARNING):
        shown.close()
    assert shown.errors == 1 and "further errors are only counted" in caplog.text
    assert list(Recorded(tmp_path / "drive.rrd").masks("/camera/mask")) == STAMPS[1:2]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("precious")
    for path in (tmp_path / "file" / "drive.rrd", tmp_path):
        target = str(path) if path.suffix else str(path / "folder.rrd")
        if not path.suffix:
            (path / "folder.rrd").mkdir()
        with pytest.raises(OSError, match=f"cannot write {target} .*: name another file"):
            open_viewer(target)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.slow
def test_a_disk_that_fills_up_is_told_of_once_and_does_not_raise(tmp_path):
    """Runs in a separate process with a limit on file size."""
    program = f"""
import logging, resource
import numpy as np
from dcfm_ros.viewer.viewer import open_viewer
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
shown = open_viewer({str(tmp_path / "drive.rrd")!r})
random = np.random.default_rng(0)
for number in range(60):
    shown.frame("", number, None, random.integers(0, 250, (200, 300)).astype(np.uint8), 0.1, 0.3, False, 0)
shown.close()
print("errors", shown.errors > 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "errors True"), done.stderr
    assert done.stderr.count("everything else continues") == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is not there")
def test_a_full_disk_is_told_of_once_and_does_not_raise(tmp_path, caplog):
    (tmp_path / "full.rrd").symlink_to("/dev/full")
    shown = open_viewer(str(tmp_path / "full.rrd"))
    with caplog.at_level(logging.WARNING):
        for stamp_ns in STAMPS:
            shown.frame("", stamp_ns, None, mask(0), 0.1, 0.3, False, 0)
        shown.close()
    assert shown.errors >= 1
    assert (
        caplog.text.count("everything else continues") == 1
        and "full.rrd (No space left on device)" in caplog.text
    )


@pytest.mark.slow
@pytest.mark.parametrize("display", ["", ":0"])
def test_the_web_viewer_is_for_this_machine_and_tells_nobody(tmp_path, display):
    """In a separate process, since the page is served until the process ends. `rerun` does the same without a
    display."""
    program = f"""
import json, os, signal, socket, urllib.request
import numpy as np
import psutil
from waiting_helpers import until
from dcfm_ros.viewer import rerun_scene
from dcfm_ros.viewer.viewer import open_viewer
with socket.socket() as one, socket.socket() as other:   # free just now, and two of them
    for probe in (one, other):
        probe.bind(("127.0.0.1", 0))
    rerun_scene._DATA_PORT, rerun_scene._WEB_PORT = one.getsockname()[1], other.getsockname()[1]
shown = open_viewer({"rerun:web" if display else "rerun"!r})
shown.frame("", 1, None, np.zeros((4, 6), np.uint8), 0.1, 0.3, False, 0)
page = urllib.request.urlopen(f"http://127.0.0.1:{{rerun_scene._web_port}}/").read()
def listening():
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return [list(c.laddr) for process in processes for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
before = listening()
shown.close()
until(lambda: rerun_scene._DATA_PORT not in [port for _, port in listening()])   # its threads end on their own
print(json.dumps(dict(page=len(page), before=before, after=listening(), data=rerun_scene._DATA_PORT,
      web=rerun_scene._web_port, errors=shown.errors)), flush=True)
os.kill(os.getpid(), signal.SIGKILL)   # the worst end
"""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'test'}",
        "DISPLAY": display,
        "WAYLAND_DISPLAY": "",
        "HOME": str(tmp_path),
    }
    for name in ("CI", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    url, facts = done.stdout.strip().splitlines()
    facts = json.loads(facts)
    assert url == (
        f"viewer: http://127.0.0.1:{facts['web']}/?url="
        f"rerun%2Bhttp%3A%2F%2F127.0.0.1%3A{facts['data']}%2Fproxy"
    )
    assert facts["page"] > 0 and facts["errors"] == 0
    assert sorted(facts["before"]) == sorted([["127.0.0.1", facts["data"]], ["127.0.0.1", facts["web"]]])
    assert facts["after"] == [["127.0.0.1", facts["web"]]]

    def is_gone():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", facts["web"])) != 0

    until(is_gone)  # the page ends with the process
    # Where usage data is collected, its settings are written at the first start.
    assert not [path for path in tmp_path.rglob("*") if "analytics" in path.name]


def test_a_port_that_is_taken_is_not_used():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert rerun_scene._free_port(port) not in (0, port)
    assert rerun_scene._free_port(port) == port


def test_whose_program_listens_is_known(monkeypatch):
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        port = ours.getsockname()[1]
        assert not is_our_own(port)  # nobody listens
        ours.listen()
        assert is_our_own(port)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        assert not is_our_own(port)


@pytest.fixture
def window(monkeypatch):
    """Stands for the window, which this machine may not be able to open."""
    monkeypatch.setenv("DISPLAY", ":0")
    window = create_autospec(rerun_scene.open_window)
    monkeypatch.setattr(rerun_scene, "open_window", window)
    monkeypatch.setattr(rerun_scene, "is_our_own", lambda port: False)
    monkeypatch.setattr(rerun_scene.rr.RecordingStream, "connect_grpc", lambda recording, url: None)
    return window


def test_a_window_is_opened_where_there_is_a_display(window):
    open_viewer("rerun").close()
    port, memory = window.call_args.args
    assert port > 0 and memory == "1GB"  # the library's own limit is 75 % of the machine


def test_a_window_that_is_open_is_not_opened_again(window, monkeypatch):
    monkeypatch.setattr(rerun_scene, "is_our_own", lambda port: True)
    open_viewer("rerun").close()
    assert not window.called


def test_a_window_that_does_not_open_is_explained(window):
    window.side_effect = OSError("no GPU")
    with pytest.raises(
        OSError, match=r"the viewer's window does not open \(no GPU\): use rerun:web or FILE.rrd"
    ):
        open_viewer("rerun")


@pytest.mark.slow
def test_a_program_that_ends_is_no_window(monkeypatch, tmp_path):
    monkeypatch.setattr(rerun_program, "_PROGRAM", "/bin/false")
    with pytest.raises(OSError, match="the program ended with status 1"):
        rerun_program.open_window(1, "1GB")


def test_the_window_is_for_this_machine_and_tells_nobody(monkeypatch, tmp_path):
    told = tmp_path / "told"
    program = tmp_path / "rerun"
    program.write_text(f"#!/bin/sh\necho CI=$CI $* > {told}\n")
    program.chmod(0o700)
    monkeypatch.setattr(rerun_program, "_PROGRAM", program)
    with pytest.raises(OSError, match="ended with status 0"):
        rerun_program.open_window(9876, "1GB")
    assert told.read_text().startswith("CI=1 --bind 127.0.0.1 --port 9876 --memory-limit 1GB ")
