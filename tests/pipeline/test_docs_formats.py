"""The example of docs/formats.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from exports import a_project
from pycocotools.coco import COCO

DOCS = Path(__file__).resolve().parents[2] / "docs" / "formats.md"


def test_the_example_from_python_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:11] = True
    names = [f"a{number}.jpg" for number in range(10)]
    a_project(tmp_path / "pilot", {name: {1 + i % 2: mask} for i, name in enumerate(names)}, reviewed=names)
    rows = [f"{name[:-4]},L{i // 2}" for i, name in enumerate(names)]
    (tmp_path / "pilot" / "metadata.csv").write_text("\n".join(["image_id,lesion_id", *rows]))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    scope: dict[str, object] = {}
    exec(compile(code, "docs/formats.md", "exec"), scope)
    said = capsys.readouterr().out
    assert "10 images exported, 10 regions." in said
    assert "Everything was read back." in said
    assert "{'train': 8, 'val': 2}" in said
    assert "10 images imported to compare with: 10 masks." in said
    train = COCO(str(tmp_path / "training set" / "instances_train.json"))
    assert [entry["name"] for entry in train.cats.values()] == ["lesion"]
    # Nothing else is lost between the trial and the export.
    assert scope["trial"].images == scope["report"].images == 10  # type: ignore[attr-defined]
