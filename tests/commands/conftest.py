"""Results that several commands work on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from camviewer import cli
from camviewer.paths import resources_dir

DEMO = resources_dir() / "demo"


@pytest.fixture(scope="session")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of the demo, one a class, explained, beside their pictures, masks and labels."""
    folder = tmp_path_factory.mktemp("explained")
    (folder / "images").mkdir()
    for path in sorted((DEMO / "images").glob("*_01.jpg")):
        shutil.copy(path, folder / "images")
    words = [
        "explain",
        str(folder / "images"),
        "--model",
        str(DEMO / "model.safetensors"),
        "--out",
        str(folder / "results"),
        "--save",
        "maps,masks,boxes",
    ]
    assert cli.main(words) == 0
    names = sorted(path.name for path in (folder / "images").iterdir())
    rows = [f"{name},{name.split('_')[0]}" for name in names]
    (folder / "marks.csv").write_text("\n".join(["image,label", *rows]))
    return folder
