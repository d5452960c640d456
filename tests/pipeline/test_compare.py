"""Checkpoints compared on the same images: the measures against their definitions, the controls, names and files."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spots
from PIL import Image

from camviewer import cli
from camviewer.errors import Cancelled, CheckpointError, UsageError
from camviewer.pipeline.checkpoints import find_checkpoints
from camviewer.pipeline.compare import COMMON, compare
from camviewer.pipeline.compare_report import curves, sheet, write_report
from camviewer.pipeline.comparison import Comparison, ComparisonRequest
from camviewer.project.facts import LABEL, set_facts
from camviewer.project.records import ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.training.datasets import read_dataset
from camviewer.training.run import train


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, masks, and a training with a GAP and one with a GMP head."""
    root = tmp_path_factory.mktemp("compare")
    pictures, _ = spots.write(root)
    data = read_dataset(pictures)
    for head in ("gap", "gmp"):
        train(data, replace(spots.TINY, head=head), root / head, device="cpu")
    return root


def request(material: Path, **changes: object) -> ComparisonRequest:
    asked = ComparisonRequest(
        (material / "gap" / "epoch_001.safetensors", material / "gap" / "epoch_004.safetensors"),
        material / "pictures",
        material / "masks",
        limit=12,
        costly=2,
        mosaics=6,
        device="cpu",
    )
    return replace(asked, **changes)


@pytest.fixture(scope="module")
def comparison(material: Path) -> Comparison:
    heads = (material / "gap" / "epoch_001.safetensors", material / "gap", material / "gmp" / "last.safetensors")
    return compare(request(material, checkpoints=heads))


def test_every_row_stands_beside_controls(comparison: Comparison) -> None:
    titles = [row.name.title for row in comparison.rows]
    assert titles == ["GAP 1", "GAP 2", "GAP 3", "GAP 4", "GMP 4", "GMP random", "GAP random", "Centre Gaussian"]
    assert comparison.method == "cam"
    assert comparison.masked == comparison.measured == 12
    assert comparison.notes == ("Measured on 12 of 32 images, drawn evenly over the classes.",)
    known = set(comparison.known())
    assert {"balanced_accuracy", "pointing", "iou20", "grid_pointing", "insertion", "stability", "agreement"} <= known
    late, random = comparison.rows[3].measures, comparison.rows[6].measures
    assert late["balanced_accuracy"] > 0.9
    assert late["balanced_accuracy"] > random["balanced_accuracy"]


def test_measures_are_those_of_the_maps_that_are_shown(comparison: Comparison, material: Path) -> None:
    place = 3
    row = comparison.rows[place]
    right, hits, shares, overlaps, correlations = [], [], [], [], []
    for image in comparison.images:
        found = image.maps[place]
        file = material / "masks" / f"{image.path.stem}_segmentation.png"
        mask = np.asarray(Image.open(file)) > 127
        values = found.geometry.upsample(found.values).astype(np.float64)
        positive = np.maximum(values, 0)
        right.append(image.predicted[place][0] == image.label)
        hits.append(mask[values == values.max()].any())
        shares.append(positive[mask].sum() / positive.sum())
        assert image.inside[place] == pytest.approx(shares[-1], rel=1e-5)
        assert image.hit[place] == hits[-1]
        kept = positive >= 0.2 * positive.max()
        if kept.sum() and (found.values > 0).any():
            overlaps.append(kept)
        other = image.maps[comparison.reference]
        pair = [m.geometry.upsample(m.values, size=COMMON).ravel() for m in (found, other)]
        correlations.append(np.corrcoef(*pair)[0, 1])
    assert row.measures["accuracy"] == pytest.approx(np.mean(right))
    assert row.measures["pointing"] == pytest.approx(np.mean(hits))
    assert row.measures["energy_inside"] == pytest.approx(np.mean(shares), rel=1e-5)
    assert row.measures["agreement"] == pytest.approx(np.mean(correlations), abs=1e-5)
    assert comparison.agreement[place, comparison.reference] == pytest.approx(np.mean(correlations), abs=1e-5)
    assert np.allclose(comparison.agreement, comparison.agreement.T, equal_nan=True)


def test_the_same_class_is_shown_under_every_checkpoint(comparison: Comparison) -> None:
    for image in comparison.images:
        assert set(image.shown) == {image.label}


def test_own_predictions_can_be_shown(material: Path) -> None:
    found = compare(request(material, shown="predicted", controls=False, costly=0, mosaics=0, limit=4))
    assert [row.name.title for row in found.rows] == ["GAP 1", "GAP 4"]
    for image in found.images:
        assert image.shown == tuple(name for name, _ in image.predicted)


def test_without_masks_localisation_is_left_out(material: Path) -> None:
    found = compare(request(material, truth=None, limit=4, costly=2))
    assert found.masks == ""
    assert not {"pointing", "iou20"} & set(found.known())
    assert {"average_drop", "deletion", "stability", "agreement"} <= set(found.known())
    assert all(inside is None for image in found.images for inside in image.inside)


def test_a_broken_image_is_named_and_left_out(material: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(material / "pictures", pictures)
    (pictures / "red" / "red_00.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    found = compare(request(material, images=pictures, truth=None, limit=0, costly=0, mosaics=0, controls=False))
    assert found.measured == 31
    assert any("red_00.png" in note for note in found.notes)


def test_unlabelled_images_are_shown_for_what_the_reference_predicts(material: Path, tmp_path: Path) -> None:
    for path in sorted((material / "pictures" / "red").iterdir())[:3]:
        shutil.copy(path, tmp_path / path.name)
    found = compare(request(material, images=tmp_path, costly=0, mosaics=5))
    assert "accuracy" not in found.known()
    assert found.masked == 3
    for image in found.images:
        assert set(image.shown) == {image.predicted[found.reference][0]}


@pytest.mark.parametrize(
    ("names", "note", "judged"),
    [
        (("first", "second"), "both are matched by their order", True),
        (("first", "second", "third"), "The labels are no classes of the network, so they are not used.", False),
    ],
)
def test_labels_of_other_names_go_by_their_order_or_not_at_all(
    material: Path, tmp_path: Path, names: tuple[str, ...], note: str, judged: bool
) -> None:
    for old, new in zip(("green", "red", "red"), names, strict=False):
        shutil.copytree(material / "pictures" / old, tmp_path / new)
    found = compare(request(material, images=tmp_path, truth=None, costly=0, mosaics=0, controls=False))
    assert any(note in sentence for sentence in found.notes), found.notes
    accuracy = found.rows[1].measures.get("accuracy")
    assert accuracy is not None and accuracy > 0.9 if judged else not accuracy


def test_a_reference_that_is_not_there_is_refused(material: Path) -> None:
    with pytest.raises(UsageError, match="There are 2 checkpoints; the reference cannot be number 2"):
        compare(request(material, reference=2))
    with pytest.raises(UsageError, match="Name at least one checkpoint"):
        find_checkpoints(())


def test_the_reviewed_masks_of_a_project_serve(material: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    shutil.copytree(material / "pictures", folder)
    files = sorted(folder.rglob("*.png"))[:6]
    with Project.create(folder / "mine.camviewer") as project:
        lesion = project.add_class("spot")
        project.add_images(ImageRecord(project.relative(file), spots.SIZE) for file in files)
        for record in project.images():
            number = int(record.path.stem[-2:])
            project.set_mask(record.id, Mask(spots.draw(0, number)[1], lesion.id, "reviewed"))
            set_facts(project, record.id, {LABEL: record.path.parent.name})
    found = compare(request(material, images=folder / "mine.camviewer", truth=None, costly=0, mosaics=0))
    against = compare(request(material, images=folder, costly=0, mosaics=0, limit=0))
    assert found.masks == "reviewed"
    assert found.masked == 6
    named = {image.name: image for image in against.images}
    for image in found.images:
        assert image.inside[1] == pytest.approx(named[image.name].inside[1], rel=1e-6)


def test_cifar10_is_judged_on_its_test_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, count in (("data_batch_1.bin", 40), ("test_batch.bin", 20)):
        rows = rng.integers(0, 255, (count, 3073)).astype(np.uint8)
        rows[:, 0] = np.arange(count) % 10
        (tmp_path / name).write_bytes(rows.tobytes())
    settings = replace(spots.TINY, epochs=1, input_size=(32, 32))
    train(read_dataset(tmp_path), settings, tmp_path / "out", device="cpu", validation_share=0.0)
    asked = ComparisonRequest(
        (tmp_path / "out",), tmp_path, limit=10, costly=0, mosaics=0, controls=False, device="cpu"
    )
    found = compare(asked)
    assert sorted(image.name for image in found.images)[0].startswith("test_batch[")
    assert {image.label for image in found.images} == set(read_dataset(tmp_path).classes)
    assert sheet(found, images=2).shape[0] > 200  # pictures without a file are drawn too


def test_it_can_be_cancelled(material: Path) -> None:
    asked = iter(range(100))
    with pytest.raises(Cancelled):
        compare(request(material), cancelled=lambda: next(asked) > 3)


def test_progress_ends_at_its_total_and_rows_arrive_one_by_one(material: Path) -> None:
    steps: list[tuple[int, int]] = []
    rows: list[str] = []
    compare(
        request(material, limit=3, costly=0, mosaics=0),
        on_progress=lambda done, total: steps.append((done, total)),
        on_row=lambda done: rows.append(done.row.name.title),
    )
    assert steps[-1][0] == steps[-1][1]
    assert all(done <= total for done, total in steps)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert rows == ["GAP 4", "GAP 1", "GAP random", "Centre Gaussian"]


def test_names_tell_trainings_apart(material: Path, tmp_path: Path) -> None:
    again = tmp_path / "second"
    shutil.copytree(material / "gap", again)
    names = find_checkpoints((material / "gap", again, material / "gmp" / "best.safetensors"))
    assert [name.title for name in names[:5]] == ["GAP gap 1", "GAP gap 2", "GAP gap 3", "GAP gap 4", "GAP second 1"]
    assert len({name.title for name in names}) == len(names)
    foreign = tmp_path / "net_epoch12.pth"
    shutil.copy(material / "gap" / "last.safetensors", foreign)
    (again / "plain").mkdir()
    with pytest.raises(UsageError, match="no checkpoints"):
        find_checkpoints((again / "plain",))
    with pytest.raises(CheckpointError, match="not found"):
        find_checkpoints((tmp_path / "none.pth",))


def test_the_report_holds_what_was_measured(comparison: Comparison, tmp_path: Path) -> None:
    files = write_report(comparison, tmp_path / "out", images=2)
    assert [path.name for path in files] == ["comparison.json", "comparison.csv", "maps.png", "curves.svg"]
    read = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [row["title"] for row in read["rows"]] == [row.name.title for row in comparison.rows]
    with (tmp_path / "out" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[3]["pointing"]) == pytest.approx(comparison.rows[3].measures["pointing"], rel=1e-5)
    assert rows[-1]["accuracy"] == ""
    svg = curves(comparison)
    assert "GAP random" in svg
    assert svg.count("<polyline") == 6  # one for each measure; GMP has a single epoch
    own, shared = sheet(comparison, images=1, scale="own"), sheet(comparison, images=1, scale="shared")
    assert own.shape == shared.shape
    assert (own != shared).any()


def test_the_command(material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gap = str(material / "gap")
    options = ["--images", str(material / "pictures"), "--truth", str(material / "masks"), "--limit", "4"]
    options += ["--costly", "0", "--mosaics", "0", "--device", "cpu"]
    assert cli.main(["compare", gap, *options, "--reference", "GAP 1", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "GAP random" in told.out
    assert "with GAP 1" in told.out
    assert (tmp_path / "out" / "maps.png").is_file()
    assert cli.main(["compare", gap, *options, "--json", "--no-controls"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 4
    assert cli.main(["compare", gap, *options, "--reference", "GAP 9"]) == 2
    assert cli.main(["compare", str(tmp_path / "nothing.pth"), *options]) == 2
