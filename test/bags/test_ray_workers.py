# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ray: one cluster of two workers on this machine for the whole file."""

import os
import signal
import sys
import tempfile
import threading

import fleet_helpers as tasks
import pytest
from bags_helpers import write_bag
from fleet_helpers import run_all
from helpers import write_tiny_model
from waiting_helpers import until

from dcfm_ros.bags import fleet
from dcfm_ros.bags.options import BagEvaluateOptions
from dcfm_ros.bags.ray_workers import RayCluster, bound_to_free_cores, task_resources
from dcfm_ros.environment import temporary_folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("ray", reason="Ray is not installed")
    before = os.environ.get("PYTHONPATH")
    with pytest.MonkeyPatch.context() as patch:
        # Locks of cores lie in the folder of temporary files: other clusters of this machine shall take none
        # of ours. Ray itself stays where it was: its sockets need short names.
        patch.setenv("RAY_TMPDIR", tempfile.gettempdir())
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("locks")))
        patch.setenv("OMP_NUM_THREADS", "1")  # sums of floats depend on the number of threads
        cluster = RayCluster("local", workers=2)
    assert os.environ.get("PYTHONPATH") == before
    yield cluster
    cluster.close()


@pytest.mark.slow
def test_every_job_is_done_once(cluster):
    outcomes, _ = run_all(cluster, tasks.square, [3, 4, 5])
    assert [(outcome.result, outcome.failure) for outcome in outcomes] == [(9, ""), (16, ""), (25, "")]


@pytest.mark.slow
def test_failures_of_tasks_and_workers_are_outcomes(cluster, tmp_path):
    moods = ("fine", "dies", "bad", "fails")
    fine, dead, bad, system = run_all(cluster, tasks.moody, [(mood, str(tmp_path / mood)) for mood in moods])[
        0
    ]
    assert fine.result == "fine" and not fine.failure
    assert dead.failure.startswith("Ray: ") and dead.transient
    assert bad.failure.startswith("bad: record anew (on ") and not bad.transient
    assert system.failure.startswith("fails: the disk is gone (on ") and system.transient
    assert [(tmp_path / mood).read_text() for mood in moods] == ["x"] * 4  # Ray itself tries nothing again


@pytest.mark.slow
def test_tasks_have_cores_of_their_own(cluster, tmp_path):
    """Two run at once: each waits for the other."""
    found = [outcome.result for outcome in run_all(cluster, tasks.cores, [(str(tmp_path), 2)] * 2)[0]]
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert all(len(cores) == share for _, cores in found)
    if len(os.sched_getaffinity(0)) > 1:
        assert not set(found[0][1]) & set(found[1][1])


@pytest.mark.slow
def test_nothing_of_a_recording_stays_in_memory(cluster, tmp_path):
    found = [outcome.result for outcome in run_all(cluster, tasks.cores, [(str(tmp_path), 1)] * 3)[0]]
    assert len({process for process, _ in found}) == 3


@pytest.mark.slow
def test_recordings_on_a_cluster(cluster, tmp_path, monkeypatch):
    model, broken = str(write_tiny_model(tmp_path / "model")), tmp_path / "in" / "broken.mcap"
    for number in range(2):
        write_bag(tmp_path / "in" / f"drive{number}", 12, seed=number)
    broken.write_bytes(b"no recording")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(fleet, "RayCluster", lambda address, workers: cluster)
    monkeypatch.setattr(cluster, "close", lambda: None)
    alone, on_ray = (
        fleet.evaluate_fleet(
            fleet.FleetOptions((str(tmp_path / "in"),), str(tmp_path / "out"), workers, address),
            BagEvaluateOptions("", page=False, model=model, backend="torch", precision="f32"),
        )
        for workers, address in ((1, ""), (2, "local"))
    )
    assert on_ray["rows"] == alone["rows"] and on_ray["rows"][0]["frames"] == 24
    assert on_ray["counts"] == {"failed": 1, "done": 2} and on_ray["ray"] == "local"
    bad = on_ray["bags"][0]
    assert "broken.mcap" in bad["reason"] and "(on " in bad["reason"] and bad["tries"] == 1


@pytest.mark.slow
def test_an_interruption_ends_tasks_in_order(cluster, tmp_path):
    files = [tmp_path / "a.pid", tmp_path / "b.pid"]
    main = threading.main_thread().ident

    def interrupt():
        until(lambda: all(file.exists() for file in files))
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_all(cluster, tasks.wait_for_interruption, [*map(str, files), str(tmp_path / "c.pid")])
    thread.join()
    assert [file.with_suffix(".ended").read_text() for file in files] == ["in order"] * 2
    assert not (tmp_path / "c.pid").exists()
    assert run_all(cluster, tasks.square, [2])[0][0].result == 4  # and the cluster is as good as before


@pytest.mark.slow
def test_a_second_connection_is_refused(cluster):
    with pytest.raises(RuntimeError, match="already connected to a Ray cluster"):
        RayCluster("local")


def test_free_cores(tmp_path):
    """Cores are counted by locks, here by those of two threads."""
    mine = os.sched_getaffinity(0)
    with bound_to_free_cores(1, tmp_path) as (core,):
        assert os.sched_getaffinity(0) == {core}
        seen = []

        def other():
            os.sched_setaffinity(0, mine)  # a thread begins with its parent's
            with bound_to_free_cores(len(mine), tmp_path) as cores:
                seen.append((cores, os.sched_getaffinity(0)))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen == [(sorted(mine), mine)]  # one of them is taken, so it is bound to none
    assert os.sched_getaffinity(0) == mine
    with bound_to_free_cores(len(mine), tmp_path) as cores:
        assert cores == sorted(mine)


def test_cores_are_not_counted_in_a_folder_of_others(tmp_path, monkeypatch):
    """Its name is known beforehand, and everyone may make it in the temporary folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    temporary_folder.cache_clear()
    planted = tmp_path / f"dcfm_ros-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    with bound_to_free_cores(1) as cores:
        assert cores == sorted(os.sched_getaffinity(0))
    assert not list(planted.iterdir())
    planted.chmod(0o700)
    temporary_folder.cache_clear()
    with bound_to_free_cores(1) as cores:
        assert len(cores) == 1 and (planted / "cores").stat().st_mode & 0o777 == 0o700
    temporary_folder.cache_clear()


@pytest.mark.parametrize(
    "cpus, gpus, workers, expected",
    [
        ([2], [0], 1, (2, 0)),
        ([2], [0], 2, (1, 0)),
        ([2], [0], 5, (1, 0)),
        ([8, 8], [0, 0], 2, (8, 0)),
        ([4, 64], [0, 0], 2, (32, 0)),
        ([8, 8], [0, 0], 3, (4, 0)),
        ([16], [1], 1, (16, 1)),
        ([16], [1], 3, (5, 0.33)),
        ([16, 16], [4, 0], 4, (8, 1)),
        ([500], [1], 200, (2, 0.01)),
    ],
)
def test_shares_of_a_cluster(cpus, gpus, workers, expected):
    assert task_resources(cpus, gpus, workers) == expected


@pytest.mark.slow
def test_without_ray_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RuntimeError, match=r"^--ray needs Ray: pip install ray$"):
        RayCluster("local")


@pytest.mark.slow
@pytest.mark.parametrize(
    "address, why",
    [
        ("nowhere", "it is not HOST:PORT"),
        ("127.0.0.1:1", ".*Connection refused"),
        ("ray://127.0.0.1:1", "it is not HOST:PORT"),
    ],
)
def test_no_cluster_at_the_address(address, why, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(
        RuntimeError, match=rf"^no Ray cluster at '{address}' \({why}\): give the address that"
    ):
        RayCluster(address)
