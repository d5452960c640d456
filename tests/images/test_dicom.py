"""DICOM photographs, made here by pydicom, against what their makers put in."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from camviewer.errors import ImageError
from camviewer.images import dicom
from camviewer.images.decode import read_header, read_image
from camviewer.images.scan import scan
from camviewer.images.thumbnails import read_thumbnail

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
from dicom_files import PATIENT, photograph, save  # noqa: E402 - needs pydicom

RGB = np.random.default_rng(1).integers(0, 256, (21, 34, 3), dtype=np.uint8)
GREY = np.random.default_rng(2).integers(0, 4096, (21, 34), dtype=np.uint16)


def test_colour_comes_back_to_the_byte(tmp_path: Path) -> None:
    file = save(tmp_path / "a.dcm", photograph(RGB))
    assert np.array_equal(read_image(file), RGB)
    header = read_header(file)
    assert (header.size, header.format) == ((34, 21), "DICOM")
    assert read_thumbnail(file, side=10).shape == (6, 10, 3)
    # Known by its mark, whatever it is called.
    assert np.array_equal(read_image(file.rename(tmp_path / "a.bin")), RGB)


def test_a_folder_shows_its_photographs(tmp_path: Path) -> None:
    save(tmp_path / "b.dcm", photograph(RGB))
    assert [entry.relative for entry in scan([tmp_path])] == ["b.dcm"]


def test_planes_and_luminance_become_rgb(tmp_path: Path) -> None:
    planar = photograph(RGB)
    planar.PlanarConfiguration = 1
    planar.PixelData = RGB.transpose(2, 0, 1).tobytes()
    assert np.array_equal(read_image(save(tmp_path / "p.dcm", planar)), RGB)
    # BT.601, full range: a formula of the standard (PS3.3 C.7.6.3.1.2).
    flat = np.full((8, 8, 3), (100, 130, 90), np.uint8)
    expected = np.array([100 + 1.402 * (90 - 128), 100 - 0.344136 * 2 - 0.714136 * (90 - 128), 100 + 1.772 * 2])
    luminance = photograph(flat)
    luminance.PhotometricInterpretation = "YBR_FULL"
    found = read_image(save(tmp_path / "y.dcm", luminance))
    assert np.abs(found.astype(float) - expected).max() <= 1


def test_a_palette_is_applied(tmp_path: Path) -> None:
    index = (np.arange(64).reshape(8, 8) % 4).astype(np.uint8)
    table = np.array([[0, 0, 0], [255, 0, 10], [0, 200, 0], [7, 8, 255]], np.uint8)
    found = photograph(index)
    found.PhotometricInterpretation = "PALETTE COLOR"
    for i, name in enumerate(("Red", "Green", "Blue")):
        setattr(found, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(found, f"{name}PaletteColorLookupTableData", table[:, i].tobytes())
    assert np.array_equal(read_image(save(tmp_path / "p.dcm", found)), table[index])


def test_grey_is_shown_as_a_display_shows_it(tmp_path: Path) -> None:
    def grey(name: str, **tags: object) -> np.ndarray:
        found = photograph(GREY, bits=12)
        for key, value in tags.items():
            setattr(found, key, value)
        pixels = read_image(save(tmp_path / name, found))
        assert (pixels[..., 0] == pixels[..., 2]).all()
        return pixels[..., 0].astype(int)

    values = GREY.astype(np.float64)
    # Without a window, all bits.
    assert np.abs(grey("a.dcm") - values / 4095 * 255).max() <= 0.5 + 1e-9
    inverse = grey("i.dcm", PhotometricInterpretation="MONOCHROME1")
    assert np.abs(inverse - (255 - values / 4095 * 255)).max() <= 0.5 + 1e-9
    window = {"WindowCenter": 2000, "WindowWidth": 1000}
    linear = np.clip((values - 1999.5) / 999 + 0.5, 0, 1)
    assert np.abs(grey("w.dcm", **window) - 255 * linear).max() <= 0.5 + 1e-9
    exactly = np.clip((values - 2000) / 1000 + 0.5, 0, 1)
    assert np.abs(grey("e.dcm", **window, VOILUTFunction="LINEAR_EXACT") - 255 * exactly).max() <= 0.5 + 1e-9
    sigmoid = 1 / (1 + np.exp(-4 * (values - 2000) / 1000))
    assert np.abs(grey("s.dcm", **window, VOILUTFunction="SIGMOID") - 255 * sigmoid).max() <= 0.5 + 1e-9
    # The window is in units after the rescale; of several the first counts.
    scaled = grey("r.dcm", RescaleSlope="2", RescaleIntercept="-1000", WindowCenter=[3000, 1], WindowWidth=[2000, 1])
    assert np.abs(scaled - 255 * np.clip((2 * values - 1000 - 2999.5) / 1999 + 0.5, 0, 1)).max() <= 0.5 + 1e-9


def test_deep_colour_fills_a_byte(tmp_path: Path) -> None:
    deep = (RGB.astype(np.uint16) * 257)[:5]
    assert np.array_equal(read_image(save(tmp_path / "d.dcm", photograph(deep, bits=16))), RGB[:5])


def test_a_file_without_a_head_is_read_by_its_suffix(tmp_path: Path) -> None:
    for implicit in (True, False):
        bare = photograph(RGB)
        bare.file_meta = pydicom.dataset.FileMetaDataset()
        file = tmp_path / "a.dcm"
        bare.save_as(file, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        assert file.read_bytes()[128:132] != b"DICM"
        assert np.array_equal(read_image(file), RGB)


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_samples_of_any_depth_end_at_white(tmp_path: Path, bits: int) -> None:
    kind = np.uint32 if bits == 32 else np.uint16
    deep = np.array([[[0, 0, 0], [2**bits - 1, 2**bits - 1, 2**bits - 1]]], np.uint64).astype(kind)
    assert read_image(save(tmp_path / "a.dcm", photograph(deep, bits=bits))).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_of_several_frames_the_first_is_taken(tmp_path: Path) -> None:
    frames = np.stack([RGB, 255 - RGB, RGB // 2])
    found = photograph(RGB)
    found.NumberOfFrames = 3
    found.PixelData = frames.tobytes()
    file = save(tmp_path / "m.dcm", found)
    assert np.array_equal(read_image(file), RGB)
    assert dicom.read_dicom_header(file).frames == 3


def test_compressed_pixels_are_read_where_there_is_a_decoder(tmp_path: Path) -> None:
    from PIL import Image
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

    def encapsulated(uid: str, colours: str, kind: str, **save_as: object) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(RGB).save(buffer, kind, **save_as)
        found = photograph(RGB)
        found.file_meta.TransferSyntaxUID, found.PhotometricInterpretation = uid, colours
        found.PixelData = encapsulate([buffer.getvalue()])
        found["PixelData"].is_undefined_length = True
        plain = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
        assert np.abs(read_image(save(tmp_path / f"{uid}.dcm", found)).astype(int) - plain).max() <= 2
        return plain

    assert np.array_equal(encapsulated(JPEG2000Lossless, "RGB", "JPEG2000", no_jp2=True, mct=0), RGB)
    encapsulated(JPEGBaseline8Bit, "YBR_FULL_422", "JPEG", quality=95, subsampling=1)
    for uid in (RLELossless, JPEGLSLossless):
        found = photograph(RGB)
        found.compress(uid)
        assert np.array_equal(read_image(save(tmp_path / f"{uid}.dcm", found)), RGB)
    found = photograph(RGB)
    found.compress(RLELossless)
    found.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(ImageError, match=r"compression \(JPEG Lossless.*needs a decoder"):
        read_header(save(tmp_path / "j.dcm", found))


def test_what_is_no_photograph_is_one_sentence(tmp_path: Path) -> None:
    def sentence(path: Path) -> str:
        with pytest.raises(ImageError) as caught:
            read_image(path)
        return caught.value.message

    no_picture = photograph(RGB)
    del no_picture.Rows
    assert "without a picture" in sentence(save(tmp_path / "n.dcm", no_picture))
    deflated = photograph(RGB)
    deflated.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    assert "deflated" in sentence(save(tmp_path / "d.dcm", deflated))
    colours = photograph(RGB)
    colours.PhotometricInterpretation = "HSV"
    assert "HSV" in sentence(save(tmp_path / "c.dcm", colours))
    segmentation = photograph(RGB)
    segmentation.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    assert "segmentation" in sentence(save(tmp_path / "s.dcm", segmentation))
    whole = save(tmp_path / "t.dcm", photograph(RGB)).read_bytes()
    for length in (0, 100, 140, 400, len(whole) - 500):
        (tmp_path / "t.dcm").write_bytes(whole[:length])
        assert sentence(tmp_path / "t.dcm").startswith("t.dcm cannot be read.")
    (tmp_path / "x.dcm").write_bytes(b"no DICOM at all" * 40)
    assert sentence(tmp_path / "x.dcm").startswith("x.dcm cannot be read.")


def test_patient_data_is_marked_and_read_on_request_only(tmp_path: Path) -> None:
    file = save(tmp_path / "a.dcm", photograph(RGB))
    tags = {tag.name: tag for tag in dicom.read_tags(file)}
    assert tags["Patient's Name"].value == PATIENT
    assert tags["Patient's Name"].is_personal
    assert tags["Study Date"].is_personal
    assert not tags["Rows"].is_personal
    assert not tags["Modality"].is_personal


WITHOUT = """
import sys
sys.modules["pydicom"] = None
from pathlib import Path
from camviewer.errors import CamviewerError
from camviewer.images.decode import read_image
try:
    read_image(Path(sys.argv[1]))
except CamviewerError as error:
    print(error.message)
"""


def test_without_the_extra_a_sentence_names_it(tmp_path: Path) -> None:
    file = save(tmp_path / "a.dcm", photograph(RGB))
    done = subprocess.run([sys.executable, "-c", WITHOUT, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "a.dcm cannot be read. It is a DICOM file, which needs the extra dicom: pip install 'camviewer[dicom]'."
    )
