"""Known bad combinations of versions are named with their cure."""

from __future__ import annotations

import subprocess
import sys

import pytest

from camviewer import selfcheck
from camviewer.selfcheck import Finding, installed, known_troubles

GOOD = {
    "torch": "2.15.0",
    "torchvision": "0.29.2",
    "PySide6-Essentials": "6.12.0",
    "opencv-python-headless": "5.0.0.93",
}


def changed(**versions: str) -> dict[str, str]:
    found = {**GOOD, **{name.replace("_", "-"): version for name, version in versions.items()}}
    return {name: version for name, version in found.items() if version}


def test_a_good_combination_has_no_troubles():
    assert known_troubles(GOOD, python=(3, 13)) == []
    assert known_troubles(changed(PySide6_Essentials="6.11.3"), python=(3, 11)) == []


@pytest.mark.parametrize(
    ("found", "python", "topic", "cure"),
    [
        (GOOD, (3, 11), "PySide6", '-m pip install "PySide6-Essentials<6.12", or use Python 3.12'),
        (changed(PySide6_Essentials="6.11.1"), (3, 13), "PySide6", "-U PySide6-Essentials"),
        (changed(PySide6_Essentials=""), (3, 13), "PySide6", "pip install PySide6-Essentials"),
        (
            changed(PySide6="6.11.3"),
            (3, 13),
            "PySide6",
            "pip uninstall -y PySide6 PySide6-Addons PySide6-Essentials, then ",
        ),
        (
            changed(opencv_python="5.0.0"),
            (3, 13),
            "OpenCV",
            "pip uninstall -y opencv-python-headless opencv-python, then ",
        ),
        (changed(opencv_python_headless="", opencv_python="5.0"), (3, 13), "OpenCV", "headless"),
        (changed(torch="2.13.0+cpu"), (3, 13), "torch", "pip install torch torchvision, both from one index"),
        (changed(torch="2.9.1"), (3, 13), "torch", "-U torch"),
        (changed(torchvision=""), (3, 13), "torch", "pip install torch torchvision"),
    ],
)
def test_a_bad_combination_is_named_with_its_cure(found, python, topic, cure):
    (trouble,) = known_troubles(found, python=python)
    assert trouble.topic == topic
    assert trouble.state in {"warning", "error"}
    assert cure in trouble.cure


@pytest.mark.parametrize(
    ("versions", "failure", "troubles"),
    [
        ({}, "", []),
        ({"torch": "2.15.0+cpu"}, "", []),  # another tag, and yet they load
        ({"torch": "2.15.0+cpu"}, "operator torchvision::nms does not exist", ["different builds"]),
        ({"torch": "2.14.0"}, "operator torchvision::nms does not exist", ["different builds"]),
        ({}, "libcudart.so.13: cannot open", ["torch cannot be imported: libcudart.so.13: cannot open"]),
        ({"torch": ""}, "No module named 'torch'", ["missing"]),
    ],
)
def test_what_torch_does_decides(versions, failure, troubles, monkeypatch):
    """One cause is told once, with one cure."""
    monkeypatch.setattr(selfcheck, "installed", lambda: changed(**versions))
    monkeypatch.setattr(selfcheck, "_import_failure", lambda: failure)
    monkeypatch.setattr(selfcheck, "known_troubles", lambda found: known_troubles(found, python=(3, 13)))
    found = selfcheck.self_check()
    wrong = [finding for finding in found if finding.state != "ok" and finding.topic == "torch"]
    assert len(wrong) == len(troubles), wrong
    assert all(words in finding.text for finding, words in zip(wrong, troubles, strict=True))
    assert all(finding.cure for finding in wrong)
    assert any(finding.topic == "Device" for finding in found) == (not failure)


def test_a_cure_is_for_the_python_that_runs(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/a b/.venv/bin/python")
    (trouble,) = known_troubles(changed(PySide6_Essentials=""), python=(3, 13))
    assert trouble.cure == '"/home/a b/.venv/bin/python" -m pip install PySide6-Essentials'
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    (trouble,) = known_troubles(changed(PySide6_Essentials=""), python=(3, 13))
    assert "pip" not in trouble.cure


def test_this_installation_is_seen():
    assert {"torch", "torchvision", "numpy", "Pillow"} <= set(installed())


def test_the_qt_platform_is_asked_of_a_process_of_its_own(monkeypatch):
    assert selfcheck._qt_platform() == Finding("Qt platform", "ok", "offscreen (no window appears)")
    asked = []

    def run(command, **_options):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "xcb\n", "")

    monkeypatch.setattr(selfcheck.subprocess, "run", run)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert selfcheck._qt_platform().text == "xcb"
    assert asked == [[sys.executable, "--qt-platform"]]


def test_the_program_answers_the_question_for_its_platform():
    done = subprocess.run(
        [sys.executable, "-m", "camviewer", "--qt-platform"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "offscreen\n"


@pytest.mark.parametrize(
    ("outcome", "state", "said"),
    [
        (subprocess.CompletedProcess([], 1, "", "ImportError: libEGL.so.1: cannot open"), "error", "libEGL.so.1"),
        (subprocess.CompletedProcess([], -6, "", "no display"), "warning", "no display"),
        (subprocess.TimeoutExpired("qt", 30), "warning", "did not answer"),
    ],
)
def test_what_keeps_qt_from_opening_a_window_is_named(outcome, state, said, monkeypatch):
    def run(*_arguments, **_options):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(selfcheck.subprocess, "run", run)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    finding = selfcheck._qt_platform()
    assert finding.state == state
    assert said in finding.text


def test_a_folder_that_cannot_be_written_is_named_and_left_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "made" / "for the test"))
    found = {finding.topic: finding for finding in selfcheck._folders()}
    assert found["Settings"].state == "warning" and "not writable" in found["Settings"].text
    assert found["Cache"].state == "ok"
    assert not (tmp_path / "made").exists()
