"""Known bad combinations of versions are named with their cure."""

from __future__ import annotations

import pytest

from camviewer.selfcheck import installed, known_troubles

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
        (GOOD, (3, 11), "PySide6", "<6.12"),
        (changed(PySide6_Essentials="6.11.1"), (3, 13), "PySide6", "-U PySide6-Essentials"),
        (changed(PySide6_Essentials=""), (3, 13), "PySide6", "pip install PySide6-Essentials"),
        (changed(PySide6="6.11.3"), (3, 13), "PySide6", "pip uninstall PySide6"),
        (changed(opencv_python="5.0.0"), (3, 13), "OpenCV", "pip uninstall"),
        (changed(opencv_python_headless="", opencv_python="5.0"), (3, 13), "OpenCV", "headless"),
        (changed(torch="2.13.0+cpu"), (3, 13), "torch", "from one index"),
        (changed(torch="2.9.1"), (3, 13), "torch", "-U torch"),
        (changed(torchvision=""), (3, 13), "torch", "pip install torch torchvision"),
    ],
)
def test_a_bad_combination_is_named_with_its_cure(found, python, topic, cure):
    (trouble,) = known_troubles(found, python=python)
    assert trouble.topic == topic
    assert trouble.state in {"warning", "error"}
    assert cure in trouble.cure


def test_this_installation_is_seen():
    assert {"torch", "torchvision", "numpy", "Pillow"} <= set(installed())
