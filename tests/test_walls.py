"""The walls of the architecture: which room may import which, and which third-party packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "camviewer"

# A room may import the rooms named here; everything may import catalogue and errors.
MAY_IMPORT = {
    "catalogue": set(),
    "images": set(),
    "regions": {"images"},
    "project": {"images", "regions"},
    "formats": {"images", "regions", "project"},
    "models": {"images"},
    "cam": {"images", "models", "project"},
    "training": {"images", "models", "cam", "project", "regions"},
    "evaluation": {"images", "regions", "models", "cam", "project"},
    "pipeline": {
        "images",
        "regions",
        "project",
        "formats",
        "models",
        "cam",
        "training",
        "evaluation",
    },
    "workers": {
        "images",
        "regions",
        "project",
        "formats",
        "models",
        "cam",
        "training",
        "evaluation",
        "pipeline",
    },
    "commands": {
        "images",
        "regions",
        "project",
        "formats",
        "models",
        "cam",
        "training",
        "evaluation",
        "pipeline",
        "selfcheck",
    },
    "ui": {"images", "regions", "project", "formats", "workers", "selfcheck", "diagnostics"},
}
COMMON = {"catalogue", "errors", "paths", "__version__"}

NO_TORCH = {"catalogue", "images", "regions", "project", "formats", "ui"}
NO_QT = {
    "catalogue",
    "commands",
    "images",
    "regions",
    "project",
    "formats",
    "models",
    "cam",
    "training",
    "evaluation",
    "pipeline",
}


def modules() -> list[Path]:
    return sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "camviewer" and rest:
            assert rest[0] in MAY_IMPORT[room] | COMMON | {room}, f"{room} imports {name}"
        if room in NO_TORCH:
            assert top not in {"torch", "torchvision", "timm"}, f"{room} imports {name}"
        if room in NO_QT:
            assert top not in {"PySide6", "shiboken6"}, f"{room} imports {name}"


def test_catalogue_needs_no_third_party() -> None:
    for path in (ROOT / "catalogue").rglob("*.py"):
        for name in imported(path):
            assert name.split(".")[0] in sys.stdlib_module_names | {"camviewer"}, f"{path} imports {name}"


@pytest.mark.parametrize("module", ["camviewer.ui.main_window", "camviewer.cli", "camviewer.app"])
def test_torch_is_not_loaded_by(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
