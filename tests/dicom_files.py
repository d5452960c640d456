"""DICOM photographs for tests: VL Photographic Image Storage with made-up patient data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

PATIENT = "Sample^Pat"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"


def photograph(pixels: np.ndarray, *, bits: int = 8) -> Dataset:
    """A data set of grey ``[H, W]`` or colour ``[H, W, 3]`` pixels, uncompressed."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = VL_PHOTOGRAPHIC
    found.SOPClassUID = VL_PHOTOGRAPHIC
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found.StudyInstanceUID, found.SeriesInstanceUID = generate_uid(), generate_uid()
    found.Modality = "XC"
    found.PatientName, found.PatientID, found.PatientBirthDate, found.PatientSex = PATIENT, "ID-4711", "19700102", "F"
    found.StudyDate, found.StudyTime, found.AccessionNumber, found.StudyID = "20260102", "101112", "ACC-99", "S1"
    found.ReferringPhysicianName, found.InstitutionName = "Referrer^Dr", "Clinic of Samples"
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    found.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated = 8 * pixels.dtype.itemsize
    found.BitsStored, found.HighBit, found.PixelRepresentation = bits, bits - 1, 0
    data = pixels.tobytes()
    found.PixelData = data + b"\0" * (len(data) % 2)
    found["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return found


def save(path: Path, found: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
    return path
