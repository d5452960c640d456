"""The wheel and the built folder start by themselves. Minutes each: run with ``-m nightly``."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "Scripts" if os.name == "nt" else "bin"

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["QT_QPA_PLATFORM"] = "offscreen"
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_what_the_program_needs_and_nothing_of_the_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entries,) = (name for name in names if name.endswith("entry_points.txt"))
        points = archive.read(entries).decode()
    assert "[gui_scripts]\ncamviewer = camviewer.__main__:main" in points
    assert "camviewer-cli = camviewer.cli:main" in points
    for name in ("resources/demo/model.safetensors", "resources/app/camviewer-256.png", "models/fingerprints.json"):
        assert f"camviewer/{name}" in names
    assert not [name for name in names if name.startswith(("tests", "scripts", "benchmarks"))]


def test_a_fresh_environment_starts_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies are borrowed from this environment; camviewer itself comes from the wheel alone."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    python = place / SCRIPTS / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=tmp_path)
    (site,) = place.rglob("site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    where = run(python, "-c", "import camviewer; print(camviewer.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(place)
    assert run(place / SCRIPTS / "camviewer", "--version", cwd=tmp_path).startswith("camviewer ")
    run(place / SCRIPTS / "camviewer", "--smoke-test", cwd=tmp_path)
    run(place / SCRIPTS / "camviewer-cli", "layers", "--model", "resnet18", cwd=tmp_path)


def test_the_folder_of_pyinstaller_starts(tmp_path: Path) -> None:
    pytest.importorskip("PyInstaller", reason="PyInstaller is not installed")
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--distpath", tmp_path / "dist"]
    run(*command, "--workpath", tmp_path / "work", ROOT / "packaging" / "camviewer.spec", cwd=tmp_path)
    folder = tmp_path / "dist" / "camviewer"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    program = folder / "camviewer"
    started = time.monotonic()
    run(program, "--version", cwd=tmp_path)
    seconds = time.monotonic() - started
    print(f"{size / 2**30:.2f} GiB; --version after {seconds:.2f} s")
    assert "Qt platform" in run(program, "check", cwd=tmp_path)
    run(program, "--smoke-test", cwd=tmp_path)
