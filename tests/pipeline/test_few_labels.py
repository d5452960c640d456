"""The few-label flow without a window: labels in a table, a checkpoint out, one bad file, a click."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from drawn_skin import disc, draw
from PIL import Image

from camviewer import cli
from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.errors import UsageError
from camviewer.evaluation.localisation import pointing
from camviewer.images.decode import read_image
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.pipeline.few_labels import BACKGROUND, FewLabels, Mark, read_marks
from camviewer.training.feature_cache import FeatureCache

PIGMENTS = {"brown": (120, 72, 60), "red": (196, 60, 66)}
SIZE = (96, 72)


@pytest.fixture
def skin(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    folder = tmp_path / "skin"
    folder.mkdir()
    rng = np.random.default_rng(2)
    masks = {}
    for number in range(40):
        name = ("brown", "red")[number % 2]
        mask = disc(SIZE, *rng.uniform(0.3, 0.7, 2), rng.uniform(0.12, 0.2))
        Image.fromarray(draw(SIZE, mask, pigment=PIGMENTS[name])).save(folder / f"{name}_{number:02d}.png")
        masks[f"{name}_{number:02d}.png"] = mask
    return folder, masks


@pytest.fixture(scope="module")
def model() -> Path:
    """The demo's network: its classes are others, its features serve."""
    from camviewer.paths import resources_dir

    return next((resources_dir() / "demo").rglob("*.safetensors"))


def write(table: Path, rows: list[tuple[str, ...]]) -> Path:
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "x", "y"), *rows])
    return table


def test_the_command_gives_a_checkpoint_whose_maps_point(skin, model: Path, tmp_path: Path, capsys) -> None:
    folder, masks = skin
    (folder / "broken.png").write_bytes(b"\x89PNG")
    names = sorted(masks)
    marked = [name for name in names if int(name.split("_")[1][:2]) < 8]
    table = write(tmp_path / "labels.csv", [(name, name.split("_")[0], "", "") for name in marked])
    out, said = tmp_path / "new.safetensors", tmp_path / "said.csv"
    options = ["--marks", str(table), "--weights", str(model), "--device", "cpu", "--out", str(out)]
    assert cli.main(["few-labels", str(folder), *options, "--predictions", str(said)]) == 1  # one file is broken
    told = capsys.readouterr()
    assert "broken.png" in told.err
    assert "3 classes from brown 4, red 4" in told.out
    assert "Least sure" in told.out

    guesses = {Path(row["image"]).name: row["label"] for row in csv.DictReader(said.open())}
    unseen = [name for name in names if name not in marked]
    assert np.mean([guesses[name] == name.split("_")[0] for name in unseen]) >= 0.9
    classifier = load_classifier(LoadRequest(weights=out, device="cpu"))
    assert classifier.identity.classes == ("brown", "red", BACKGROUND)
    explainer = Explainer(classifier)
    hits = []
    for name in unseen:
        found = explainer.explain(read_image(folder / name), MapRequest(methods=("cam",)))
        assert found.scores[0].name == guesses[name]
        full = found.maps[0].geometry.upsample(found.maps[0].values)
        hits.append(pointing(full, masks[name], tolerance=0.06 * SIZE[0]))  # the edge of a drawn lesion is its evidence
    assert np.mean(hits) >= 0.9


def test_labels_refit_at_once_and_sort_by_doubt(skin, model: Path, tmp_path: Path) -> None:
    folder, masks = skin
    paths = sorted(folder.glob("*.png"))
    few = FewLabels(LoadRequest(weights=model, device="cpu"), cache=FeatureCache(tmp_path / "f.sqlite"))
    gallery = few.read(paths)
    brown, red = paths[0], paths[-1]
    marks = [Mark(brown, "brown"), Mark(red, "red")]
    first = few.fit(gallery, marks)
    queue = first.least_sure(without=[brown, red])
    assert len(queue) == 38
    assert [guess.margin for guess in queue] == sorted(guess.margin for guess in queue)
    # A label is taken back by giving another one.
    other = few.fit(gallery, [*marks, Mark(red, "brown"), Mark(paths[-2], "red")])
    assert other.classes.counts["red"] == 1
    assert other.classes.counts["brown"] == 2
    # A click on the skin and one on the lesion do without the border.
    y, x = np.argwhere(masks[brown.name]).mean(0)
    clicks = [Mark(brown, "brown", (x, y)), Mark(brown, BACKGROUND, (2.0, 2.0))]
    clicked = few.fit(gallery, clicks, border=False)
    assert clicked.classes.classes == ("brown", BACKGROUND)
    assert clicked.classes.accuracy is None


def test_a_wrong_table_is_one_sentence(skin, model: Path, tmp_path: Path, capsys) -> None:
    folder, _ = skin
    paths = sorted(folder.glob("*.png"))
    with pytest.raises(UsageError, match="line 2: there is no picture nobody"):
        read_marks(write(tmp_path / "a.csv", [("nobody.png", "x", "", "")]), paths)
    with pytest.raises(UsageError, match="line 2: x and y"):
        read_marks(write(tmp_path / "b.csv", [(paths[0].name, "x", "1", "")]), paths)
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="image and label"):
        read_marks(tmp_path / "c.csv", paths)
    table = write(tmp_path / "d.csv", [(paths[0].stem, "x", "", "")])
    options = ["--weights", str(model), "--device", "cpu", "--out", str(tmp_path / "o.safetensors")]
    assert cli.main(["few-labels", str(folder), "--marks", str(table), *options, "--background", "labels"]) == 2
    assert "two classes" in capsys.readouterr().err
    assert not (tmp_path / "o.safetensors").exists()
