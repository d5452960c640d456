"""The law of every format: what goes out comes in again, pixel for pixel or within a stated bound, under any name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from exports import a_project, masks
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from camviewer.pipeline.export import ExportRequest, export
from camviewer.pipeline.importing import ImportRequest, import_annotations
from camviewer.project.store import Project

PARTS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\\0"), min_size=1, max_size=12
).filter(lambda text: text.strip(". ") and not text.startswith("."))
NAMES = st.one_of(PARTS, st.tuples(PARTS, PARTS).map("/".join)).map(lambda name: f"{name}.png")
QUICKLY = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def round_trip(folder: Path, name: str, found: dict[str, np.ndarray], **options) -> dict[str, np.ndarray]:
    """Export images with a mask each, import them into another project of the same images; return its masks."""
    source = a_project(folder / "there", {file: {1: mask} for file, mask in found.items()}, reviewed=found)
    report = export(ExportRequest(source, name, folder / "out", options=options, verify=True))
    assert report.verified
    assert report.images == len(found)
    again = a_project(folder / "here", {file: {1: np.zeros_like(mask)} for file, mask in found.items()})
    with Project.open(again) as project:
        import_annotations(project, ImportRequest(folder / "out", class_name="melanoma"))
        return {
            record.path.as_posix(): next(
                (mask.pixels for mask in project.final_masks(record.id or 0) if mask.class_id == 1),
                np.zeros(record.size[::-1], bool),
            )
            for record in project.images()
        }


def distinct(names: list[str]) -> bool:
    """Whether no name is a folder of another, as file systems ask."""
    return not any(first != second and second.startswith(f"{first}/") for first in names for second in names)


@pytest.mark.parametrize(
    ("name", "options"), [("coco", {}), ("coco", {"instances": "region"}), ("voc", {}), ("labelme", {}), ("masks", {})]
)
@QUICKLY
@given(found=st.dictionaries(NAMES, masks(side=16), min_size=1, max_size=3))
def test_every_pixel_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str, options, found) -> None:
    assume(distinct(list(found)))
    back = round_trip(tmp_path_factory.mktemp("trip"), name, found, **options)
    for file, mask in found.items():
        assert np.array_equal(back[file], mask), file


def lost_by_outlines(mask: np.ndarray) -> np.ndarray:
    """Pixels that an outline may get wrong: holes are filled, regions of fewer than three corners are left out."""
    filled = np.zeros(mask.shape, np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    holes = (filled > 0) & ~mask
    thin = np.zeros(mask.shape, bool)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        rows, columns = np.nonzero(labels == label)
        ways = {(rows - rows[0])[i] * (columns - columns[0])[-1] - (columns - columns[0])[i] * (rows - rows[0])[-1]
                for i in range(len(rows))}  # fmt: skip
        if ways == {0}:  # a pixel, or a straight line
            thin |= labels == label
    return holes | thin


@pytest.mark.parametrize(
    ("name", "options"),
    [("coco", {"segmentation": "polygons"}), ("labelme", {"shapes": "polygon"}), ("yolo-segmentation", {})],
)
@QUICKLY
@given(found=st.dictionaries(NAMES, masks(side=16), min_size=1, max_size=2))
def test_outlines_lose_holes_and_lines_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, name: str, options, found
) -> None:
    assume(distinct(list(found)))
    back = round_trip(tmp_path_factory.mktemp("trip"), name, found, **options)
    for file, mask in found.items():
        wrong = back[file] ^ mask
        assert not (wrong & ~lost_by_outlines(mask)).any(), file


@pytest.mark.parametrize("name", ["coco", "voc", "labelme", "masks", "yolo-segmentation"])
def test_images_called_like_files_of_the_format_are_images(tmp_path: Path, name: str) -> None:
    block = np.zeros((12, 15), bool)
    block[2:9, 3:11] = True
    called = (
        "run",
        "export-labelme",
        "train",
        "test",
        "classes",
        "data",
        "instances",
        "labelmap",
        "a_mask",
        "labels/x",
    )
    found = {f"{stem}.png": np.roll(block, i % 4) for i, stem in enumerate(called)}
    back = round_trip(tmp_path, name, found)
    for file, mask in found.items():
        assert np.array_equal(back[file], mask), file


def test_somebody_elses_labels_may_be_called_run(tmp_path: Path) -> None:
    block = np.ones((12, 15), bool)
    project = a_project(tmp_path / "i", {"a.png": {1: block}}, reviewed=["a.png"])
    export(ExportRequest(project, "labelme", tmp_path / "out"))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "run.json").write_text((tmp_path / "out" / "a.json").read_text().replace("a.png", "run.png"))
    again = a_project(tmp_path / "j", {"run.png": {1: np.zeros((12, 15), bool)}})
    with Project.open(again) as opened:
        assert import_annotations(opened, ImportRequest(theirs)).masks == 1
