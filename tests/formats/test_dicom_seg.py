"""DICOM SEG, read back by highdicom and by pydicom alone."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from exports import masks, photo
from hypothesis import HealthCheck, assume, given, settings

from camviewer.errors import ExportError, FormatError
from camviewer.pipeline.export import ExportRequest, export
from camviewer.project.records import ClassTable, ImageRecord, Mask
from camviewer.project.store import Project

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
highdicom = pytest.importorskip("highdicom", reason="needs the extra dicom")
from dicom_files import photograph, save  # noqa: E402 - needs pydicom

from camviewer.formats import dicom_seg  # noqa: E402

PERSONAL = ("Sample", "ID-4711", "19700102", "ACC-99", "Referrer", "Clinic of Samples", "20260102")


def a_project(folder: Path, found: dict[int, np.ndarray], *, names=("a.dcm",)) -> Path:
    height, width = next(iter(found.values())).shape
    with Project.create(folder / "p.camviewer") as project:
        project.set_class_table(ClassTable.for_model(("melanoma", "naevus öä")))
        for name in names:
            if name.endswith(".dcm"):
                pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
                save(folder / name, photograph(pixels))
            else:
                photo(folder / name, (width, height))
            project.add_images([ImageRecord(PurePosixPath(name), (width, height))])
        for record in project.images():
            for class_id, mask in found.items():
                project.set_mask(record.id or 0, Mask(mask, class_id))
            project.set_status([record.id or 0], "reviewed")
    return folder / "p.camviewer"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=masks())
def test_segments_come_back_to_the_pixel(tmp_path_factory: pytest.TempPathFactory, first: np.ndarray) -> None:
    assume(first.size >= 8)
    folder = tmp_path_factory.mktemp("seg")
    second = ~first
    project = a_project(folder / "i", {1: first, 2: second})
    export(ExportRequest(project, "dicom-seg", folder / "out", verify=True))
    file = folder / "out" / "a_segmentation.dcm"
    source = pydicom.dcmread(folder / "i" / "a.dcm")
    expected = {name: mask for name, mask in (("melanoma", first), ("naevus öä", second)) if mask.any()}
    assert {name: mask.tolist() for name, mask in dicom_seg.read_dicom_seg(file)} == {
        name: mask.tolist() for name, mask in expected.items()
    }
    # As highdicom finds the segments of one source image.
    found = highdicom.seg.segread(file)
    pixels = found.get_pixels_by_source_instance([source.SOPInstanceUID], ignore_spatial_locations=True)
    assert np.array_equal(pixels[0].astype(bool), np.stack(list(expected.values()), axis=-1))


def test_a_picture_of_a_few_pixels_is_left_out_with_a_reason(tmp_path: Path) -> None:
    project = a_project(tmp_path / "i", {1: np.array([[True, False, False]])})
    with pytest.raises(ExportError, match="fewer than 8 pixels"):
        export(ExportRequest(project, "dicom-seg", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_it_refers_to_its_source_and_names_no_patient(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:11] = True
    project = a_project(tmp_path / "i", {1: mask})
    export(ExportRequest(project, "dicom-seg", tmp_path / "out"))
    file = tmp_path / "out" / "a_segmentation.dcm"
    source, found = pydicom.dcmread(tmp_path / "i" / "a.dcm"), pydicom.dcmread(file)
    assert found.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert found.StudyInstanceUID == source.StudyInstanceUID
    reference = found.ReferencedSeriesSequence[0]
    assert reference.SeriesInstanceUID == source.SeriesInstanceUID
    assert reference.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert found.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"  # a person reviewed it
    data = file.read_bytes()
    assert not [text for text in PERSONAL if text.encode() in data]


@pytest.mark.parametrize("images", ["copy", "link"])
@pytest.mark.parametrize("name", ["coco", "yolo-segmentation", "nnunet", "labelme"])
def test_copies_of_dicom_images_are_plain_pictures(tmp_path: Path, name: str, images) -> None:
    from PIL import Image

    mask = np.ones((20, 30), bool)
    project = a_project(tmp_path / "i", {1: mask})
    export(ExportRequest(project, name, tmp_path / "out", images=images))
    for file in (file for file in (tmp_path / "out").rglob("*") if file.is_file()):
        assert not [text for text in PERSONAL if text.encode() in file.read_bytes()]
        assert file.suffix != ".dcm"
    (picture,) = [file for file in (tmp_path / "out").rglob("a*.png") if "label" not in file.parent.name]
    assert np.array_equal(np.asarray(Image.open(picture)), pydicom.dcmread(tmp_path / "i" / "a.dcm").pixel_array)


def test_other_images_stay_out_with_a_sentence(tmp_path: Path) -> None:
    mask = np.ones((20, 30), bool)
    project = a_project(tmp_path / "i", {1: mask}, names=("a.dcm", "b.jpg"))
    report = export(ExportRequest(project, "dicom-seg", tmp_path / "out"))
    assert (report.images, report.left_out) == (1, {"cannot be read": 1})
    assert "b.jpg is no DICOM file" in report.problems[0]


def test_without_the_extra_the_format_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = a_project(tmp_path / "i", {1: np.ones((20, 30), bool)})
    monkeypatch.setattr(dicom_seg.dicom, "is_installed", lambda: False)
    with pytest.raises(ExportError, match=r"camviewer\[dicom\]"):
        export(ExportRequest(project, "dicom-seg", tmp_path / "out"))
    with pytest.raises(FormatError, match=r"camviewer\[dicom\]"):
        dicom_seg.read_dicom_seg(tmp_path / "i" / "a.dcm")


def test_what_is_no_segmentation_is_refused(tmp_path: Path) -> None:
    a_project(tmp_path / "i", {1: np.ones((20, 30), bool)})
    with pytest.raises(FormatError, match="cannot be read as a DICOM SEG"):
        dicom_seg.read_dicom_seg(tmp_path / "i" / "a.dcm")
