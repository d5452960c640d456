"""Every kind of image file, made here, becomes the pixels that a formula says; every broken one becomes a sentence."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from camviewer.errors import ImageError
from camviewer.images import decode
from camviewer.images.decode import read_header, read_image
from camviewer.images.depth import over_white, to_bytes

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 4), dtype=np.uint16)
# Values at the edges of rounding, where v >> 8 and v / 257 differ.
DEEP[0, :, 0] = [0, 128, 129, 255, 257, 65406, 65407]

ORIENTED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


def rounded(samples: np.ndarray) -> np.ndarray:
    return np.floor(samples.astype(np.float64) / 257 + 0.5).astype(np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def write_cv(path: Path, samples: np.ndarray) -> Path:
    ok, data = cv2.imencode(path.suffix, samples)
    assert ok
    path.write_bytes(data.tobytes())
    return path


def png(path: Path, samples: np.ndarray, colour: int, extra: bytes = b"", late: bytes = b"") -> Path:
    """Write a 16-bit PNG by hand; colour 0 grey, 2 RGB, 4 grey + alpha, 6 RGBA."""
    height, width = samples.shape[:2]
    rows = samples.astype(">u2").reshape(height, -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", zlib.compress(body))
        + late
        + chunk(b"IEND", b"")
    )
    return path


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif", "ppm"])
def test_lossless_colour_is_exact(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(RGB)
    path = save(tmp_path / f"a.{suffix}", image, **({"lossless": True} if suffix == "webp" else {}))
    if suffix == "gif":
        image = Image.open(path).convert("RGB")
    pixels = read_image(path)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable
    np.testing.assert_array_equal(pixels, np.asarray(image))
    header = read_header(path)
    assert header.size == (7, 5)
    assert header.file_size == path.stat().st_size


def test_jpeg_is_pillows(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(RGB), quality=95)
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path)))
    assert read_header(path).format == "JPEG"


def test_a_suffix_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    save(tmp_path / "a.png", Image.fromarray(RGB)).rename(path)
    np.testing.assert_array_equal(read_image(path), RGB)


@pytest.mark.parametrize("name", ["лезия 皮膚 ü.png", "a b'c\".png", "\udcff\udc80.png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(save(tmp_path / "plain.png", Image.fromarray(RGB)).read_bytes())
    np.testing.assert_array_equal(read_image(path), RGB)
    path.write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        read_image(path)
    caught.value.message.encode("utf-8")


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_modes_without_alpha(tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    try:
        path = save(tmp_path / f"a.{suffix}", image)
    except OSError:
        pytest.skip(f"{suffix} does not hold {mode}")
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path).convert("RGB")))


def test_inks_of_cmyk(tmp_path: Path) -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255], [255, 255, 255, 0]]], np.uint8)
    for name in ("a.tif", "a.jpg"):
        path = save(tmp_path / name, Image.fromarray(np.repeat(inks, 16, axis=0).repeat(16, axis=1), "CMYK"))
        row = read_image(path)[8, 8::16].astype(int)
        assert np.abs(row - [[255, 255, 255], [0, 255, 255], [0, 0, 0], [0, 0, 0]]).max() <= 4


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_alpha_lies_over_white(tmp_path: Path, suffix: str) -> None:
    rgba = np.dstack([RGB, RNG.integers(0, 256, RGB.shape[:2], dtype=np.uint8)])
    rgba[0, :, 3] = [0, 255, 128, 1, 254, 0, 255]
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(rgba), **options)
    alpha = rgba[:, :, 3:] / 255.0
    expected = rgba[:, :, :3] * alpha + 255 * (1 - alpha)
    pixels = read_image(path)
    assert np.abs(pixels - expected).max() <= 1.0
    np.testing.assert_array_equal(pixels[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(pixels[0, 1], rgba[0, 1, :3])


def test_palette_and_key_transparency(tmp_path: Path) -> None:
    indices = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    indices.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    path = save(tmp_path / "p.png", indices, transparency=bytes([255, 0, 255]))
    np.testing.assert_array_equal(read_image(path), [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]])
    grey = Image.fromarray(np.array([[9, 8]], np.uint8))
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "l.png", grey, transparency=8)), [[[9, 9, 9], [255, 255, 255]]]
    )
    grey_alpha = Image.fromarray(np.array([[[100, 255], [100, 0]]], np.uint8), "LA")
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "la.png", grey_alpha)), [[[100, 100, 100], [255, 255, 255]]]
    )
    colour = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    path = save(tmp_path / "rgb.png", colour, transparency=(4, 5, 6))
    np.testing.assert_array_equal(read_image(path), [[[1, 2, 3], [255, 255, 255]]])


class TestSixteenBit:
    def test_every_value_is_divided_by_257(self) -> None:
        values = np.arange(65536, dtype=np.uint16)
        np.testing.assert_array_equal(to_bytes(values), rounded(values))
        assert (to_bytes(np.arange(256, dtype=np.uint16) * 257) == np.arange(256)).all()

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_grey(self, tmp_path: Path, suffix: str) -> None:
        path = write_cv(tmp_path / f"g{suffix}", DEEP[:, :, 0])
        np.testing.assert_array_equal(read_image(path), np.repeat(rounded(DEEP[:, :, :1]), 3, axis=2))

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_colour(self, tmp_path: Path, suffix: str) -> None:
        path = write_cv(tmp_path / f"c{suffix}", DEEP[:, :, 2::-1])
        np.testing.assert_array_equal(read_image(path), rounded(DEEP[:, :, :3]))

    def test_png_by_hand(self, tmp_path: Path) -> None:
        np.testing.assert_array_equal(read_image(png(tmp_path / "c.png", DEEP[:, :, :3], 2)), rounded(DEEP[:, :, :3]))

    @pytest.mark.parametrize("colour", [4, 6])
    def test_alpha(self, tmp_path: Path, colour: int) -> None:
        samples = DEEP if colour == 6 else DEEP[:, :, [0, 3]]
        path = png(tmp_path / "a.png", samples, colour)
        rgb = DEEP[:, :, :3] if colour == 6 else np.repeat(DEEP[:, :, :1], 3, axis=2)
        alpha = DEEP[:, :, 3:] / 65535.0
        expected = (rgb / 65535.0 * alpha + 1 - alpha) * 255
        assert np.abs(read_image(path) - expected).max() <= 0.5 + 1e-9

    def test_colour_key(self, tmp_path: Path) -> None:
        key = tuple(int(v) for v in DEEP[1, 2, :3])
        path = png(tmp_path / "k.png", DEEP[:, :, :3], 2, chunk(b"tRNS", struct.pack(">HHH", *key)))
        expected = rounded(DEEP[:, :, :3])
        expected[1, 2] = 255
        np.testing.assert_array_equal(read_image(path), expected)
        path = png(tmp_path / "g.png", DEEP[:, :, 0], 0, chunk(b"tRNS", struct.pack(">H", int(DEEP[1, 2, 0]))))
        assert (read_image(path)[1, 2] == 255).all()

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, tmp_path: Path, orientation: int) -> None:
        expected = ORIENTED[orientation](rounded(DEEP[:, :, :3]))
        late = chunk(b"eXIf", exif(orientation)[6:])
        for place in ({"extra": late}, {"late": late}):
            path = png(tmp_path / "o.png", DEEP[:, :, :3], 2, **place)
            np.testing.assert_array_equal(read_image(path), expected)
            assert read_header(path).size == expected.shape[1::-1]
        path = tiff(tmp_path / "o.tif", DEEP[:, :, :3], orientation)
        np.testing.assert_array_equal(read_image(path), expected)
        assert read_header(path).size == expected.shape[1::-1]


def tiff(path: Path, samples: np.ndarray, orientation: int = 1, extra: dict[int, list[int]] | None = None) -> Path:
    """Write an uncompressed TIFF of one strip by hand, in the samples' byte order."""
    order = ">" if samples.dtype.byteorder == ">" else "<"
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    height, width, *rest = samples.shape
    count = rest[0] if rest else 1
    tags = {
        256: [width],
        257: [height],
        258: [samples.dtype.itemsize * 8] * count,
        259: [1],
        262: [2 if count >= 3 else 1],
        273: [0],
        274: [orientation],
        277: [count],
        278: [height],
        279: [samples.nbytes],
        339: [kind] * count,
    } | (extra or {})
    start = 8 + 2 + 12 * len(tags) + 4
    entries, blob = b"", b""
    for tag, values in sorted(tags.items()):
        values = [start + 64] if tag == 273 else values
        form = "I" if tag in {273, 279} else "H"
        data = struct.pack(order + form * len(values), *values)
        if len(data) > 4:
            inline = struct.pack(order + "I", start + len(blob))
            blob += data
        else:
            inline = data.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, 4 if form == "I" else 3, len(values)) + inline
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    path.write_bytes(head + entries + b"\0" * 4 + blob.ljust(64, b"\0") + samples.tobytes())
    return path


class TestTiff:
    @pytest.mark.parametrize("dtype", ["<u2", ">u2"])
    def test_byte_orders(self, tmp_path: Path, dtype: str) -> None:
        path = tiff(tmp_path / "a.tif", DEEP[:, :, :3].astype(dtype))
        np.testing.assert_array_equal(read_image(path), rounded(DEEP[:, :, :3]))
        path = tiff(tmp_path / "g.tif", DEEP[:, :, 0].astype(dtype))
        np.testing.assert_array_equal(read_image(path)[:, :, 1], rounded(DEEP[:, :, 0]))

    def test_white_is_zero(self, tmp_path: Path) -> None:
        path = tiff(tmp_path / "w.tif", DEEP[:, :, 0], extra={262: [0]})
        np.testing.assert_array_equal(read_image(path)[:, :, 0], rounded(65535 - DEEP[:, :, 0]))

    @pytest.mark.parametrize("kind", [0, 1, 2])
    def test_fourth_sample(self, tmp_path: Path, kind: int) -> None:
        samples = DEEP.copy()
        if kind == 1:  # premultiplied: colour never exceeds alpha
            samples[:, :, :3] = np.minimum(samples[:, :, :3], samples[:, :, 3:])
        path = tiff(tmp_path / "a.tif", samples, extra={338: [kind]})
        colour, alpha = samples[:, :, :3] / 65535.0, samples[:, :, 3:] / 65535.0
        expected = {0: colour, 1: colour + 1 - alpha, 2: colour * alpha + 1 - alpha}[kind] * 255
        assert np.abs(read_image(path) - expected).max() <= 0.5 + 1e-9

    @pytest.mark.parametrize("channels", [1, 3])
    def test_floating_point(self, tmp_path: Path, channels: int) -> None:
        unit = RNG.random((5, 7, 3)).astype(np.float32)[:, :, :channels].squeeze()
        expected = np.rint(unit.astype(np.float64) * 255).reshape(5, 7, channels)
        for scale in (1.0, 255.0, 65535.0):
            samples = (unit * np.float32(scale)).astype(np.float32)
            samples.flat[0] = scale
            pixels = read_image(tiff(tmp_path / "f.tif", samples)).astype(float)
            assert np.abs(pixels - expected)[0, 1:].max() <= 1
            assert pixels[0, 0, 0] == 255
        samples = (unit * 10 - 5).astype(np.float32)
        samples.flat[:2] = [np.nan, np.inf]
        pixels = read_image(tiff(tmp_path / "n.tif", samples))
        assert pixels.min() == 0 and pixels.max() == 255

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_float_colour_is_turned_once(self, tmp_path: Path, orientation: int) -> None:
        samples = RGB.astype(np.float32) / 255
        path = tiff(tmp_path / "f.tif", samples, orientation)
        np.testing.assert_array_equal(read_image(path), ORIENTED[orientation](RGB))
        assert read_header(path).size == ORIENTED[orientation](RGB).shape[1::-1]

    def test_first_page(self, tmp_path: Path) -> None:
        pages = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
        path = save(tmp_path / "m.tif", pages[0], save_all=True, append_images=pages[1:])
        np.testing.assert_array_equal(read_image(path), RGB)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(read_image(path)[1, 1], [255, 0, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = Image.fromarray(RGB)
    if suffix == "tif":
        path = save(tmp_path / "a.tif", image, tiffinfo={274: orientation})
    else:
        options = {"jpg": {"quality": 95}, "webp": {"lossless": True}}.get(suffix, {})
        path = save(tmp_path / f"a.{suffix}", image, exif=exif(orientation), **options)
    stored = RGB
    if suffix == "jpg":
        with Image.open(path) as raw:
            stored = np.asarray(raw)
            np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(raw)), ORIENTED[orientation](stored))
    expected = ORIENTED[orientation](stored)
    np.testing.assert_array_equal(read_image(path), expected)
    assert read_header(path).size == expected.shape[1::-1]


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(tmp_path: Path, value: int) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(RGB), exif=exif(value))
    np.testing.assert_array_equal(read_image(path), RGB)


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(RGB), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    np.testing.assert_array_equal(read_image(path), RGB)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (30_000, 1), (30_000, 40)])
def test_extreme_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = save(tmp_path / "a.png", Image.new("L", size, 77))
    pixels = read_image(path)
    assert pixels.shape == (size[1], size[0], 3)
    assert (pixels == 77).all()


def sentence(path: Path) -> str:
    messages = []
    for read in (read_header, read_image):
        with pytest.raises(ImageError) as caught:
            read(path)
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
    assert "\n" not in messages[0]
    return messages[0]


class TestUnreadable:
    def test_too_large_is_known_from_the_header(self, tmp_path: Path) -> None:
        head = struct.pack(">IIBBBBB", 20_000, 10_001, 8, 2, 0, 0, 0)
        path = tmp_path / "huge.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        assert sentence(path) == "huge.png cannot be read. It has 200 megapixels, the limit is 200."

    def test_the_largest_passes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = save(tmp_path / "a.png", Image.new("L", (20, 10)))
        monkeypatch.setattr(decode, "MAX_PIXELS", 200)
        assert read_header(path).size == (20, 10)
        monkeypatch.setattr(decode, "MAX_PIXELS", 199)
        assert "limit" in sentence(path)

    @pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "gif"])
    @pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
    def test_cut_short(self, tmp_path: Path, suffix: str, share: float) -> None:
        noise = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        whole = save(tmp_path / f"whole.{suffix}", noise).read_bytes()
        path = tmp_path / f"ISIC_0029360.{suffix}"
        path.write_bytes(whole[: max(12, int(len(whole) * share))])
        with pytest.raises(ImageError) as caught:
            read_image(path)
        start = f"ISIC_0029360.{suffix} cannot be read. The file is "
        assert caught.value.message in {start + "cut short.", start + "cut short or damaged.", start + "damaged."}

    def test_a_cut_jpeg_says_so(self, tmp_path: Path) -> None:
        noise = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        whole = save(tmp_path / "whole.jpg", noise).read_bytes()
        path = tmp_path / "ISIC_0029360.jpg"
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert caught.value.message == "ISIC_0029360.jpg cannot be read. The file is cut short."

    def test_cut_deep_colour(self, tmp_path: Path) -> None:
        for name in ("a.png", "a.tif"):
            whole = write_cv(tmp_path / name, RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16)).read_bytes()
            (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
            with pytest.raises(ImageError):
                read_image(tmp_path / name)

    def test_other_files(self, tmp_path: Path) -> None:
        (tmp_path / "empty.jpg").write_bytes(b"")
        assert sentence(tmp_path / "empty.jpg") == "empty.jpg cannot be read. The file is empty."
        (tmp_path / "text.png").write_text("lesion")
        assert sentence(tmp_path / "text.png") == "text.png cannot be read. It is not an image."
        (tmp_path / "x.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
        assert sentence(tmp_path / "x.eps") == "x.eps cannot be read. It is not an image."
        assert sentence(tmp_path / "gone.jpg") == "gone.jpg cannot be read. The file is not there."
        assert sentence(tmp_path) == f"{tmp_path.name} cannot be read. It is a folder."
        (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(64))
        assert "DICOM" in sentence(tmp_path / "a.dcm")
        (tmp_path / "renamed.jpg").write_bytes(bytes(128) + b"DICM" + bytes(64))
        assert "DICOM" in sentence(tmp_path / "renamed.jpg")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.jpg")
        assert sentence(tmp_path / "a.jpg") == "a.jpg cannot be read. It is not a regular file."

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
    def test_permissions(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.png", Image.fromarray(RGB))
        path.chmod(0)
        assert "permissions" in sentence(path)

    def test_random_damage_is_pixels_or_a_sentence(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(3)
        noise = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        for suffix in ("jpg", "png", "bmp", "tif", "webp", "gif"):
            whole = bytearray(save(tmp_path / f"w.{suffix}", noise).read_bytes())
            for _ in range(60):
                damaged = bytearray(whole)
                for at in rng.integers(0, len(whole), 6):
                    damaged[at] = rng.integers(0, 256)
                path = tmp_path / f"d.{suffix}"
                path.write_bytes(damaged)
                try:
                    # The sizes are kept small by the cap, or a damaged header would ask for gigabytes.
                    if np.prod(read_header(path).size) < 1_000_000:
                        assert read_image(path).ndim == 3
                except ImageError as error:
                    assert error.message.startswith(f"d.{suffix} cannot be read. ")


def test_nothing_is_written_to_the_terminal(tmp_path: Path) -> None:
    noise = Image.fromarray(RNG.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg"):
        data = bytearray(save(tmp_path / f"{compression}.tif", noise, compression=compression).read_bytes())
        (tmp_path / f"cut_{compression}.tif").write_bytes(data[: len(data) // 2])
        data[2000:2600] = bytes(600)
        (tmp_path / f"{compression}.tif").write_bytes(data)
    whole = write_cv(tmp_path / "deep.png", RNG.integers(0, 65536, (90, 90, 3), dtype=np.uint16)).read_bytes()
    (tmp_path / "deep.png").write_bytes(whole[:9000] + bytes(200) + whole[9200:])
    whole = write_cv(tmp_path / "deep.tif", RNG.integers(0, 65536, (90, 90, 3), dtype=np.uint16)).read_bytes()
    (tmp_path / "deep.tif").write_bytes(whole[:9000] + bytes(200) + whole[9200:])
    jpeg = bytearray(save(tmp_path / "a.jpg", noise).read_bytes())
    jpeg[9000:9100] = b"\xff\xc0" * 50
    (tmp_path / "a.jpg").write_bytes(jpeg)
    code = """
import sys
from pathlib import Path
from camviewer.errors import ImageError
from camviewer.images.decode import read_image
for path in Path(sys.argv[1]).iterdir():
    try:
        read_image(path)
    except ImageError:
        pass
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True)
    assert done.stderr == b"" and done.stdout == b""


def test_over_white_of_bytes_equals_the_formula() -> None:
    colour = np.array([[[65535, 0, 30000]]], np.uint16)
    np.testing.assert_array_equal(over_white(colour, np.array([[0]], np.uint16)), [[[255, 255, 255]]])
    np.testing.assert_array_equal(over_white(colour, np.array([[65535]], np.uint16)), [[[255, 0, 117]]])


def test_real_images(data_dir: Path) -> None:
    folder = data_dir / "ham10000_600x450"
    for path in sorted(folder.rglob("*.jpg"))[:3]:
        buffer = io.BytesIO(path.read_bytes())
        np.testing.assert_array_equal(read_image(path), np.asarray(ImageOps.exif_transpose(Image.open(buffer))))
