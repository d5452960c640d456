"""Small valid files of every kind that the program reads, and hostile ones made by hand. All are generated."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import shutil
import sqlite3
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

Seeds = dict[str, bytes]
"""Content by file name."""

SIZE = (30, 20)
FILES = ("a.png", "b.png", "c.png")


class Payload:
    """Runs when it is unpickled by a pickle that runs things: makes the file that `MARKER` names."""

    MARKER = "/tmp/camviewer-payload-ran"

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (self.MARKER, os.O_CREAT | os.O_WRONLY)


def _pixels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def images() -> Seeds:
    """Every format, in the variants that decoders treat apart, and headers that promise far too much."""
    colour = Image.fromarray(_pixels())
    made: Seeds = {}
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, image, options in (
        ("rgb.png", colour, {"exif": exif}),
        ("palette.png", colour.convert("P"), {}),
        ("grey.png", colour.convert("L"), {}),
        ("alpha.png", colour.convert("RGBA"), {}),
        ("baseline.jpg", colour, {"exif": exif, "format": "JPEG"}),
        ("progressive.jpg", colour, {"progressive": True, "format": "JPEG"}),
        ("cmyk.jpg", colour.convert("CMYK"), {"format": "JPEG"}),
        ("plain.bmp", colour, {}),
        ("plain.tif", colour, {}),
        ("lzw.tif", colour, {"compression": "tiff_lzw"}),
        ("deflate.tif", colour, {"compression": "tiff_adobe_deflate"}),
        ("lossy.webp", colour, {}),
        ("lossless.webp", colour, {"lossless": True}),
        ("animated.gif", colour.convert("P"), {"save_all": True, "append_images": [colour.convert("P")]}),
        ("wave.jp2", colour, {"format": "JPEG2000"}),
        ("plain.ppm", colour, {}),
    ):
        stream = io.BytesIO()
        image.save(
            stream, **{"format": {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.split(".")[1].upper()), **options}
        )
        made[name] = stream.getvalue()
    deep = (_pixels().astype(np.uint16) * 257)[..., 0]
    stream = io.BytesIO()
    Image.fromarray(deep).save(stream, format="PNG")
    made["deep.png"] = stream.getvalue()
    made["huge.png"] = _png_header(100_000, 100_000)
    made["long.png"] = _png_header(2**31 - 1, 1)
    made["huge.bmp"] = b"BM" + struct.pack("<IHHIIiiHH", 100, 0, 0, 54, 40, 60_000, 60_000, 1, 24) + b"\0" * 40
    made["huge.gif"] = b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0," + b"\0" * 20
    made["zeros.png"] = _png_header(0, 0)
    made["text.png"] = (
        made["rgb.png"][:33] + _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 40_000_000, 9)) + made["rgb.png"][33:]
    )
    return made


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_header(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def checkpoints() -> Seeds:
    """Weights as they are saved, wrong shapes, billions of elements, pickles and programs with a payload."""
    import torch

    from camviewer.models import architectures
    from camviewer.models.checkpoint import ModelInfo, save_checkpoint

    network = architectures.build("camnet", architectures.Plan(3, options=(("width", 8),)), seed=1)
    state = network.state_dict()
    made: Seeds = {}

    def saved(name: str, content: object, **options: object) -> None:
        stream = io.BytesIO()
        torch.save(content, stream, **options)
        made[name] = stream.getvalue()

    saved("zip.pth", state)
    saved("old.pth", state, _use_new_zipfile_serialization=False)
    saved("wrapped.pth", {"epoch": 3, "classes": ["a", "b", "c"], "state_dict": state})
    first = next(iter(state))
    saved("wrong shape.pth", {**state, first: torch.zeros(3, 3)})
    saved("billions.pth", {**state, first: torch.zeros(1).expand(10**10)})
    saved("complex.pth", {**state, first: torch.zeros(state[first].shape, dtype=torch.complex64)})
    saved("payload.pth", {"state_dict": state, "x": Payload()})
    saved("old payload.pth", {"state_dict": state, "x": Payload()}, _use_new_zipfile_serialization=False)
    made["raw payload.pth"] = pickle.dumps(Payload())
    made["whole.pt"] = b""
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), stream)
    made["script.pt"] = stream.getvalue()
    stream = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), stream)
    made["program.pt2"] = stream.getvalue()
    place = Path(os.environ.get("TMPDIR", "/tmp")) / f"camviewer-seed-{os.getpid()}.safetensors"
    info = ModelInfo(arch="camnet", head="gap", classes=("a", "b", "c"), input_size=(64, 64), options={"width": 8})
    save_checkpoint(place, network, info=info)
    made["own.safetensors"] = place.read_bytes()
    place.unlink()

    def header(name: str, entries: object, length: int | None = None) -> None:
        text = json.dumps(entries).encode() if not isinstance(entries, bytes) else entries
        made[name] = struct.pack("<Q", len(text) if length is None else length) + text + b"\0" * 64

    header("huge tensor.safetensors", {"w": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 64]}})
    header("negative.safetensors", {"w": {"dtype": "F32", "shape": [-1, 4], "data_offsets": [0, 64]}})
    header("backwards.safetensors", {"w": {"dtype": "F32", "shape": [16], "data_offsets": [64, 0]}})
    header("no end.safetensors", {}, length=2**63 - 1)
    header("deep.safetensors", b"[" * 100_000)
    header("names.safetensors", {"__metadata__": {"arch": "os.system", "classes": "[" * 50_000, "options": "{}"}})
    header("options.safetensors", {
        "__metadata__": {"arch": "camnet", "classes": "3", "options": '{"width": 1000000000}', "input_size": "[9,9]"},
        "w": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]},
    })  # fmt: skip
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
        archive.writestr("archive/version", "3")
    made["zip bomb.pth"] = stream.getvalue()
    return made


def projects() -> Seeds:
    """A project with everything in it, one cut in half, another program's database, names made of SQL."""
    from camviewer.project.records import Box, ClassTable, ImageRecord, Mask
    from camviewer.project.store import Project

    place = Path(os.environ.get("TMPDIR", "/tmp")) / f"camviewer-seed-{os.getpid()}.camviewer"
    try:
        with Project.create(place) as project:
            hostile = "a'); DROP TABLE images; --.png"
            project.add_images(
                [ImageRecord(PurePosixPath(name), SIZE) for name in (*FILES, hostile, "../../etc/x.png")]
            )
            project.set_class_table(ClassTable.for_model(('x"; DROP TABLE masks; --', "b")))
            mask = np.zeros((SIZE[1], SIZE[0]), bool)
            mask[3:9, 4:12] = True
            for image in (1, 4):
                project.store_result(image, run_id=None, boxes=[Box(1, 2, 9, 8, 1)], masks=[Mask(mask, 1)])
            project.set_note(4, "'; DELETE FROM images; --")
            assert len(project.images()) == 5
        whole = place.read_bytes()
        with sqlite3.connect(place) as connection:
            connection.execute("UPDATE images SET width = 'wide', height = -5")
        connection.close()
        wrong = place.read_bytes()
        place.unlink()
        with sqlite3.connect(place) as connection:
            connection.execute("CREATE TABLE images (other TEXT)")
        connection.close()
        other = place.read_bytes()
    finally:
        for suffix in ("", "-wal", "-shm"):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
    return {
        "whole.camviewer": whole,
        "half.camviewer": whole[: len(whole) // 2],
        "types.camviewer": wrong,
        "other schema.camviewer": other,
        "text.camviewer": b"this is no database",
        "empty.camviewer": b"",
        "header.camviewer": b"SQLite format 3\0",
    }


DEEP = 100_000

JSONS: Seeds = {
    "deep.json": b'{"shapes": ' + b"[" * DEEP,
    "deep objects.json": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "nan.json": b'{"images": [{"id": NaN, "file_name": "a.png", "width": Infinity, "height": 20}], "annotations": []}',
    "digits.json": b'{"images": [{"id": ' + b"9" * 100_000 + b', "file_name": "a.png"}], "annotations": []}',
    "exponent.json": b'{"images": [{"id": 1e400, "file_name": "a.png", "width": 30, "height": 20}], "annotations": []}',
    "huge rle.json": json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
            "categories": [{"id": 1, "name": "a"}],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 1,
                    "bbox": [0, 0, 1, 1],
                    "area": 1,
                    "iscrowd": 0,
                    "segmentation": {"size": [1_000_000, 1_000_000], "counts": [0, 10**12]},
                }
            ],
        }
    ).encode(),
    "huge size.json": json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png", "width": 10**9, "height": 10**9}],
            "categories": [{"id": 1, "name": "a"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]}],
        }
    ).encode(),
    "lone surrogate.json": b'{"images": [{"id": 1, "file_name": "\\ud800.png", "width": 1, "height": 1}]}',
    "list.json": b"[]",
    "utf16.json": '{"images": []}'.encode("utf-16"),
    "labelme.json": json.dumps(
        {
            "version": "5",
            "imagePath": "../../../etc/passwd",
            "imageHeight": 10**9,
            "imageWidth": 10**9,
            "imageData": None,
            "shapes": [{"label": "a", "shape_type": "polygon", "points": [[0, 0], [1e308, 1e308], [-1e308, 3]]}],
        }
    ).encode(),
}


XMLS: Seeds = {
    "laughs.xml": (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">'
        + b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 12))
        + b"]><annotation><filename>&l11;</filename></annotation>"
    ),
    "outside.xml": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><annotation><filename>&f;</filename></annotation>',
    "deep.xml": b"<a>" * DEEP,
    "numbers.xml": b"<annotation><filename>a.png</filename><size><width>1e99</width><height>nan</height></size>"
    b"<object><name>a</name><bndbox><xmin>-inf</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    b"</annotation>",
}

CSVS: Seeds = {
    "labels.csv": b"image,dx\na.png,nv\nb.png,mel\nc.png,nv\n",
    "semicolons.csv": "image;dx\na.png;N\u00e4vus\n".encode("latin-1"),
    "quote.csv": b'image,dx\n"a.png,nv\n' + b"b.png,mel\n" * 2000,
    "wide.csv": b"image," + b"x," * 50_000 + b"dx\n",
    "field.csv": b"image,dx\na.png," + b"x" * 500_000 + b"\n",
    "nul.csv": b"image,dx\na.png,\0nv\n",
    "bom.csv": b"\xef\xbb\xbfimage_id,dx\na,nv\nb,mel\n",
    "one-hot.csv": b"image,MEL,NV\na,1.0,0.0\nb,0.0,nan\nc,9e999,1\n",
    "empty.csv": b"",
    "returns.csv": b"image,dx\ra.png,nv\rb.png,mel\r",
}


def annotations() -> Seeds:
    """COCO, LabelMe, VOC and YOLO as written by this program, and the hostile ones above."""
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[3:9, 4:12] = True
    from pycocotools import mask as rle

    counts = rle.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    coco = {
        "images": [{"id": i + 1, "file_name": name, "width": 30, "height": 20} for i, name in enumerate(FILES)],
        "categories": [{"id": 1, "name": "melanoma"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 3, 8, 6], "area": 48, "iscrowd": 0,
             "segmentation": {"size": [20, 30], "counts": counts}},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [4, 3, 8, 6], "area": 48, "iscrowd": 0,
             "segmentation": [[4, 3, 12, 3, 12, 9, 4, 9]]},
        ],
    }  # fmt: skip
    labelme = {
        "version": "5.5.0", "flags": {}, "imagePath": "a.png", "imageData": None, "imageHeight": 20, "imageWidth": 30,
        "shapes": [
            {"label": "melanoma", "points": [[4, 3], [12, 3], [12, 9]], "shape_type": "polygon", "flags": {}},
            {"label": "melanoma", "points": [[4, 3], [12, 9]], "shape_type": "rectangle", "flags": {}},
        ],
    }  # fmt: skip
    voc = (
        b"<annotation><folder>x</folder><filename>a.png</filename><size><width>30</width><height>20</height><depth>3</depth>"
        b"</size><object><name>melanoma</name><bndbox><xmin>5</xmin><ymin>4</ymin><xmax>12</xmax><ymax>9</ymax></bndbox>"
        b"</object></annotation>"
    )
    return {
        "coco.json": json.dumps(coco).encode(),
        "a.json": json.dumps(labelme).encode(),
        "a.xml": voc,
        "a.txt": b"0 0.5 0.5 0.25 0.25\n0 0.1 0.1 0.9 0.1 0.9 0.9\n",
        **JSONS,
        **XMLS,
    }


def explained() -> Seeds:
    """An explain.json as this program writes it, and the hostile JSON above."""
    from camviewer.cli import main

    demo = Path(__file__).resolve().parents[2] / "resources" / "demo"
    place = Path(os.environ.get("TMPDIR", "/tmp")) / f"camviewer-seed-{os.getpid()}"
    images = sorted(str(path) for path in (demo / "images").iterdir())[:2]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            status = main(
                ["explain", *images, "--model", str(demo / "model.safetensors"), "--method", "cam", "--out", str(place)]
            )
        assert status == 0
        return {"explain.json": (place / "explain.json").read_bytes(), **JSONS}
    finally:
        shutil.rmtree(place, ignore_errors=True)
