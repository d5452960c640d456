"""Does this installation work? What ``camviewer-cli check`` prints and the window shows under Help."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from camviewer import paths
from camviewer.pipeline.devices import cores, find_devices, total_memory
from camviewer.pipeline.versions import versions

State = Literal["ok", "warning", "error"]

PYSIDE = ("PySide6-Essentials", "PySide6")
OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
OTHERS = ("Pillow", "pycocotools", "safetensors", "defusedxml", "timm")

QT_PROBE = "--qt-platform"
"""The argument with which the program only prints the platform that Qt opens windows on."""
_PROBE_CODE = "from PySide6.QtGui import QGuiApplication; print(QGuiApplication([]).platformName())"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the self-check.

    Attributes:
        topic: what was looked at.
        state: ``error`` means that something will not work.
        text: what was found.
        cure: what to do; empty when all is well.
    """

    topic: str
    state: State
    text: str
    cure: str = ""


def installed() -> dict[str, str]:
    """Return the version of every package that matters, by name, without importing one; absent ones are left out."""
    found = {}
    for name in ("torch", "torchvision", "numpy", *PYSIDE, *OPENCV, *OTHERS):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def known_troubles(found: Mapping[str, str], *, python: tuple[int, ...] = sys.version_info[:2]) -> list[Finding]:
    """Return what is known not to work by its versions alone; nothing is imported.

    Args:
        found: version by package name, as of `installed`.
        python: version of the interpreter.
    """
    troubles = []
    essentials = "PySide6-Essentials" if python >= (3, 12) else '"PySide6-Essentials<6.12"'
    qt = next((found[name] for name in PYSIDE if name in found), "")
    if not qt:
        troubles.append(Finding("PySide6", "error", "PySide6 is missing", _pip(f"install {essentials}")))
    elif _number(qt) >= (6, 12) and python < (3, 12):
        troubles.append(
            Finding(
                "PySide6",
                "error",
                f"PySide6 {qt} ends the program after some hundred signals on Python {python[0]}.{python[1]}",
                f"{_pip(f'install {essentials}')}, or use Python 3.12 or newer",
            )
        )
    elif _number(qt) in {(6, 11, 0), (6, 11, 1)}:
        troubles.append(
            Finding("PySide6", "warning", f"PySide6 {qt} misplaces docks", _pip(f"install -U {essentials}"))
        )
    if all(name in found for name in PYSIDE) and len({found[name] for name in PYSIDE}) > 1:
        troubles.append(
            Finding(
                "PySide6",
                "error",
                f"PySide6 {found['PySide6']} and PySide6-Essentials {found['PySide6-Essentials']} share one folder",
                _pip("uninstall -y PySide6 PySide6-Addons PySide6-Essentials", f"install {essentials}"),
            )
        )
    opencv = [name for name in OPENCV if name in found]
    headless = _pip(f"uninstall -y {' '.join(opencv)}", "install opencv-python-headless")
    if len(opencv) > 1:
        troubles.append(
            Finding(
                "OpenCV",
                "error",
                f"{' and '.join(opencv)} overwrite each other, and one brings Qt plugins of its own",
                headless,
            )
        )
    elif opencv and not opencv[0].endswith("headless"):
        troubles.append(
            Finding("OpenCV", "warning", f"{opencv[0]} brings Qt plugins that can clash with PySide6", headless)
        )
    torch, vision = found.get("torch", ""), found.get("torchvision", "")
    if not torch or not vision:
        missing = "torch or torchvision is missing"
        troubles.append(Finding("torch", "error", missing, _pip("install torch torchvision")))
    else:
        if _number(torch) < (2, 10):
            troubles.append(
                Finding(
                    "torch",
                    "error",
                    f"torch {torch} can be made to run code by a weights file",
                    _pip("install -U torch torchvision"),
                )
            )
        if _build(torch) != _build(vision):
            troubles.append(_different_builds(found))
    return troubles


def self_check() -> list[Finding]:
    """Return everything worth knowing about this installation, troubles included. Imports torch; takes seconds."""
    found = installed()
    troubles = known_troubles(found)
    clash = _different_builds(found)
    failure = _import_failure()
    if not failure and clash in troubles:
        troubles.remove(clash)  # they do get along
    elif "torchvision::nms" in failure and clash not in troubles:
        troubles.append(clash)
    elif failure and clash not in troubles and found.get("torch") and found.get("torchvision"):
        cure = _pip("install --force-reinstall torch torchvision")
        troubles.append(Finding("torch", "error", f"torch cannot be imported: {failure}", cure))
    version = versions()
    lines = [
        Finding("camviewer", "ok", version["camviewer"]),
        Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}"),
    ]
    names = [name for name in found if name not in {"torch", "torchvision"}]
    lines += [Finding(name, "ok", version[name]) for name in ("torch", "torchvision") if version[name]]
    lines += [Finding(name, "ok", found[name]) for name in names]
    lines += [] if failure else _devices()
    lines.append(Finding("Memory", "ok", f"{_gigabytes(total_memory())}, {cores()} processor cores"))
    lines.append(_qt_platform())
    lines += list(_folders())
    lines += troubles
    return lines


def _import_failure() -> str:
    """Return why torch and torchvision cannot be imported, in one line; empty if they can."""
    try:
        import torch  # noqa: F401
        import torchvision  # noqa: F401
    except Exception as error:  # a broken installation raises anything
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def _devices() -> Iterator[Finding]:
    for index, device in enumerate(find_devices()):
        memory = f", {_gigabytes(device.memory)}" if device.memory and device.name != "cpu" else ""
        chosen = " (used by --device auto)" if index == 0 else ""
        yield Finding("Device", "ok", f"{device.name}: {device.title}{memory}{chosen}")


def _pip(*steps: str) -> str:
    """Return the commands that cure, one after the other, for the very Python that this runs on."""
    if getattr(sys, "frozen", False):
        return "install camviewer anew"
    return ", then ".join(f"{subprocess.list2cmdline([sys.executable])} -m pip {step}" for step in steps)


def _different_builds(found: Mapping[str, str]) -> Finding:
    return Finding(
        "torch",
        "error",
        f"torch {found.get('torch')} and torchvision {found.get('torchvision')} are of different builds, "
        "so torchvision does not load",
        f"{_pip('uninstall -y torch torchvision', 'install torch torchvision')}, both from one index",
    )


def _qt_platform() -> Finding:
    """Return which platform Qt opens windows on; asked in a process of its own, which Qt ends where there is none."""
    # A built program has no Python beside it: it starts itself once more.
    program = [QT_PROBE] if getattr(sys, "frozen", False) else ["-c", _PROBE_CODE]
    try:
        done = subprocess.run([sys.executable, *program], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("Qt platform", "warning", f"Qt did not answer: {error}")
    if done.returncode == 0:
        name = done.stdout.strip()
        without = " (no window appears)" if name in {"offscreen", "minimal"} else ""
        return Finding("Qt platform", "ok", name + without)
    said = " ".join(done.stderr.split())
    if "ImportError" in said:
        library = said.rsplit("ImportError:", 1)[-1].strip()
        return Finding("Qt platform", "error", f"Qt cannot be loaded: {library}", _qt_cure())
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Finding(
            "Qt platform",
            "warning",
            "there is no display, so no window opens; the command line works",
            "start it in a desktop session, or set QT_QPA_PLATFORM=offscreen for tests",
        )
    return Finding("Qt platform", "error", "Qt cannot open a window here", _qt_cure())


def _qt_cure() -> str:
    if platform.system() == "Linux":
        return (
            "sudo apt-get install --no-install-recommends libgl1 libegl1 libglib2.0-0 libxkbcommon0 "
            "libxkbcommon-x11-0 libfontconfig1 libdbus-1-3 "
            "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
        )
    return _pip("install --force-reinstall PySide6-Essentials")


def _folders() -> Iterable[Finding]:
    folders: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("Settings", paths.config_dir),
        ("Projects", paths.data_dir),
        ("Cache", paths.cache_dir),
        ("Log", paths.log_dir),
    )
    for topic, folder in folders:
        path = folder()
        reason = _not_writable(path)
        if reason:
            yield Finding(topic, "warning", f"{path} is not writable: {reason}", "check its permissions and free space")
        else:
            yield Finding(topic, "ok", str(path))


def _not_writable(folder: Path) -> str:
    """Return why nothing can be written to `folder`; empty if it can. Leaves nothing behind."""
    made = []
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir()
            made.append(path)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        for path in reversed(made):
            path.rmdir()
    return ""


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size else "unknown"


def _number(version: str) -> tuple[int, ...]:
    """Return the leading whole numbers of a version: ``2.15.0+cpu`` gives (2, 15, 0)."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _build(version: str) -> str:
    """Return what follows the plus sign: the build, which torch and torchvision have to share."""
    return version.partition("+")[2]
