"""`dcfm soak`: real nodes over DDS for a few seconds."""
import pytest

from dcfm_ros.ros import soak as soak_module
from dcfm_ros.ros.child import ChildError
from dcfm_ros.ros.soak import SoakOptions, soak

pytestmark = pytest.mark.usefixtures("other_domain")


def test_two_cameras_for_a_few_seconds():
    report = soak(SoakOptions(
        camera=(96, 128), cameras=2, seconds=5.0, rate_hz=5.0, backend="torch", parameters=("max_interval:=3",)))
    assert set(report["cameras"]) == {"camera0", "camera1"} and set(report["processes"]) == {"segmenter", "camera0", "camera1"}
    for camera in report["cameras"].values():
        assert camera["sent"] >= 25 and camera["received"] + camera["lost_by_dds"] + camera["not_taken"] == camera["sent"]
        # A frame in work or under way when the cameras are stopped may be missing.
        assert 0 <= camera["sent"] - camera["masks"] - camera["dropped"] - camera["lost_by_dds"] - camera["not_taken"] <= 1
        assert camera["keyframes"] > 2 and camera["latency_ms"]["p50"] > camera["inside_ms"]["shallow_ms"]["p50"] > 0
    assert report["receive_ms_per_frame"] > 0 and report["backend"] == "torch on cpu (f32)"


def test_a_segmenter_that_does_not_come_up():
    with pytest.raises(ChildError, match="no_such_model"):
        soak(SoakOptions(model="no_such_model"))


def test_a_frame_costs_what_was_spent_while_such_frames_were_sent(monkeypatch):
    """Those of before, as while networks are compiled, would make each frame look cheaper."""
    kept = {}
    for name in ("_watch", "_sent"):
        def keep(*arguments, function=getattr(soak_module, name), name=name):
            kept[name] = function(*arguments)
            return kept[name]
        monkeypatch.setattr(soak_module, name, keep)
    report = soak(SoakOptions(camera=(96, 128), seconds=5.0, rate_hz=20.0, backend="torch"))
    watched, times = kept["_watch"], kept["_sent"].values()
    frames = sum(watched.began_ns <= at < watched.ended_ns for at in times)
    assert 0 < frames < len(times)   # cameras begin before the first mask is there
    cpu_s, segmenter = watched.samples["segmenter"].cpu_s, report["processes"]["segmenter"]
    assert segmenter["cpu_ms_per_frame"] == pytest.approx(1e3 * (cpu_s[-1] - cpu_s[0]) / frames, abs=0.01)
    assert report["receive_ms_per_frame"] == pytest.approx(1e3 * watched.receiving_s / frames, abs=0.01)


@pytest.mark.parametrize("options, message", [
    (dict(cameras=0), "--cameras 0: use 1 to 16"), (dict(seconds=-4.0), "--seconds -4: use 5 or more"),
    (dict(rate_hz=0.0), "--rate 0: use 0.1 to 1000 images per second"),
    (dict(camera=(8, 20000)), "--camera 8x20000: use 32 to 16384 pixels"),
    (dict(encoding="jpeg"), "--encoding jpeg: use one of rgb8, bgr8, mono8"),
    (dict(parameters=("max_interval=5",)), "--set max_interval=5: write it as name:=value")])
def test_options_that_cannot_be_used(options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        SoakOptions(**options)
