"""Labelled pictures from a folder a class, from a CSV file or from CIFAR-10, and splits that keep groups together."""

from __future__ import annotations

import csv
import io
import pickle
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camviewer.errors import Cancelled, ImageError, UsageError
from camviewer.images.decode import read_header, read_image
from camviewer.images.geometry import Size

Pixels = NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
"""File name endings, lower case, that count as pictures."""

LABEL_COLUMNS = ("dx", "label", "class", "diagnosis", "target", "category")
IMAGE_COLUMNS = ("image_id", "image", "isic_id", "file", "filename", "file_name", "path", "image_name")
GROUP_COLUMNS = ("lesion_id", "patient_id", "group")
MASK_ENDINGS = ("_segmentation", "_mask")


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Which picture shows what.

    Attributes:
        names: of the pictures, for messages: paths as given, or ``data_batch_1[17]``.
        labels: class index of each picture.
        classes: class names by index.
        groups: what must stay on one side of a split, a number for each picture.
        source: where the pixels come from.
        skipped: sentences on what was left out and why.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: NDArray[np.int64]
    source: PixelSource = field(repr=False)
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Pixels:
        """Return upright RGB ``[H, W, 3]`` of picture `index`.

        Raises:
            ImageError: when it cannot be read.
        """
        return self.source.read(index)

    def size(self, index: int) -> Size:
        """Return (width, height) of picture `index` without decoding it.

        Raises:
            ImageError: when it cannot be read.
        """
        return self.source.size(index)

    def counts(self) -> NDArray[np.int64]:
        """Return the number of pictures of each class."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)


class PixelSource(Protocol):
    """Gives size and pixels of a picture by its index."""

    def read(self, index: int) -> Pixels: ...

    def size(self, index: int) -> Size: ...


@dataclass(frozen=True, slots=True)
class Files:
    """Pictures in files."""

    paths: tuple[Path, ...]

    def read(self, index: int) -> Pixels:
        return read_image(self.paths[index])

    def size(self, index: int) -> Size:
        return read_header(self.paths[index]).size


@dataclass(frozen=True, slots=True)
class Stack:
    """Pictures in memory, ``[N, H, W, 3]``."""

    pixels: Pixels

    def read(self, index: int) -> Pixels:
        picture: Pixels = self.pixels[index]
        return picture

    def size(self, index: int) -> Size:
        return self.pixels.shape[2], self.pixels.shape[1]


def read_dataset(path: Path, *, images: Path | None = None, column: str | None = None) -> LabelledImages:
    """Return the labelled pictures at `path`: a CSV file, CIFAR-10, or a folder with one folder a class.

    A folder that holds no class folders but a file ``*metadata*.csv`` or a single CSV file is read by that file.

    Args:
        path: file or folder.
        images: where the pictures of a CSV file lie; its own folder when None.
        column: which column of a CSV file holds the class; the first known one when None.

    Raises:
        UsageError: when nothing there can be read as labelled pictures.
    """
    if path.is_file():
        return read_csv(path, images=images or path.parent, column=column)
    if not path.is_dir():
        raise UsageError(f"{path} does not exist. Give a folder with one folder a class, or a CSV file.")
    if any((path / name).is_file() for name in ("data_batch_1", "data_batch_1.bin")):
        return read_cifar10(path)
    tables = sorted(path.glob("*.csv"))
    chosen = [table for table in tables if "metadata" in table.name.lower()] or tables
    if len(chosen) == 1:
        return read_csv(chosen[0], images=images or path, column=column)
    return read_folders(path)


def read_folders(root: Path) -> LabelledImages:
    """Return the pictures of `root`, one folder a class, in the alphabetical order of the folders.

    Raises:
        UsageError: when fewer than two folders hold pictures.
    """
    names: list[str] = []
    paths: list[Path] = []
    labels: list[int] = []
    skipped: list[str] = []
    classes: list[str] = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        found = sorted(_pictures(folder))
        if not found:
            skipped.append(f"The folder {folder.name} holds no pictures.")
            continue
        classes.append(folder.name)
        paths += found
        names += [str(path.relative_to(root)) for path in found]
        labels += [len(classes) - 1] * len(found)
    if len(classes) < 2:
        raise UsageError(
            f"{root} does not hold two folders with pictures. Make one folder a class, or give a CSV file."
        )
    return LabelledImages(
        tuple(names),
        np.array(labels, np.int64),
        tuple(classes),
        np.arange(len(names), dtype=np.int64),
        Files(tuple(paths)),
        tuple(skipped),
    )


def read_csv(table: Path, *, images: Path, column: str | None = None, group: str | None = None) -> LabelledImages:
    """Return the pictures that a CSV file labels, as HAM10000 (``dx``) and ISIC (one column a class, 0 or 1) do.

    Rows without a file, or without a class, are named in `skipped`. Pictures are found below `images` by file name,
    with or without its ending.

    Args:
        table: the CSV file.
        images: folder that is searched, with its subfolders.
        column: that holds the class; the first of `LABEL_COLUMNS` when None, else one-hot columns.
        group: column whose equal values must stay on one side of a split; the first of `GROUP_COLUMNS` when None.

    Raises:
        UsageError: when the file cannot be read or has no columns for picture and class.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), dialect=_dialect(text)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table.name} cannot be read as a table.", details=str(error)) from error
    if not rows:
        raise UsageError(f"{table.name} has no rows.")
    header = [name for name in rows[0] if name is not None]
    image_column = _first(header, IMAGE_COLUMNS)
    if image_column is None:
        raise UsageError(f"{table.name} has no column for the picture. Call it {IMAGE_COLUMNS[0]} or image.")
    if column is not None and column not in header:
        some = textwrap.shorten(", ".join(header), 200, placeholder=" …")
        raise UsageError(f"{table.name} has no column {column}. It has {some}.")
    label_column = column or _first(header, LABEL_COLUMNS)
    one_hot = [] if label_column else _one_hot(header, rows, image_column)
    if label_column is None and not one_hot:
        raise UsageError(f"{table.name} has no column for the class. Call it dx or label, or name one with --column.")
    group_column = group or _first(header, GROUP_COLUMNS)

    by_name: dict[str, Path] = {}
    for path in sorted(_pictures(images)):
        by_name.setdefault(path.name, path)
        by_name.setdefault(path.stem, path)
    names: list[str] = []
    paths: list[Path] = []
    found: list[str] = []
    keys: list[str] = []
    missing: list[str] = []
    unlabelled: list[str] = []
    for row in rows:
        name = (row.get(image_column) or "").strip()
        if label_column:
            label = (row.get(label_column) or "").strip()
        else:
            label = next((key for key in one_hot if float(row[key] or 0) >= 0.5), "")
        file = by_name.get(Path(name).name) if name else None
        if file is None:
            missing.append(name or "(empty)")
        elif not label:
            unlabelled.append(name)
        else:
            names.append(name)
            paths.append(file)
            found.append(label)
            keys.append((row.get(group_column) or "").strip() or f"\0{name}" if group_column else f"\0{name}")
    classes = tuple(one_hot) if one_hot else tuple(sorted(set(found)))
    if len(set(found)) < 2:
        raise UsageError(
            f"{table.name} labels fewer than two classes among the {len(by_name) and len(set(by_name.values()))} "
            f"pictures below {images.name or images}."
        )
    skipped = _tell(missing, "has no file", "have no file") + _tell(unlabelled, "has no class", "have no class")
    number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    index = {name: position for position, name in enumerate(classes)}
    return LabelledImages(
        tuple(names),
        np.array([index[label] for label in found], np.int64),
        classes,
        np.array([number[key] for key in keys], np.int64),
        Files(tuple(paths)),
        skipped,
    )


def read_cifar10(root: Path, *, test: bool = False) -> LabelledImages:
    """Return the 50,000 (or 10,000 `test`) pictures of CIFAR-10, 32 x 32, from its binary or its Python version.

    The Python version is a pickle. It is read by an unpickler that knows numpy arrays and nothing else, so a file
    that wants to run code is refused.

    Raises:
        UsageError: when a file is cut short, holds code, or is missing.
    """
    stems = ["test_batch"] if test else [f"data_batch_{number}" for number in range(1, 6)]
    pixels: list[Pixels] = []
    labels: list[NDArray[np.int64]] = []
    names: list[str] = []
    for stem in stems:
        binary, pickled = root / f"{stem}.bin", root / stem
        if binary.is_file():
            values, classes = _cifar_binary(binary)
        elif pickled.is_file():
            values, classes = _cifar_pickle(pickled)
        else:
            continue
        pixels.append(values.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(classes)
        names += [f"{stem}[{index}]" for index in range(len(classes))]
    if not names:
        raise UsageError(f"{root} holds no CIFAR-10 files such as {stems[0]}.bin.")
    stack = np.ascontiguousarray(np.concatenate(pixels))
    return LabelledImages(
        tuple(names),
        np.concatenate(labels),
        CIFAR10_CLASSES,
        np.arange(len(names), dtype=np.int64),
        Stack(stack),
    )


CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _cifar_binary(path: Path) -> tuple[Pixels, NDArray[np.int64]]:
    data = np.fromfile(path, np.uint8)
    if data.size == 0 or data.size % 3073:
        raise UsageError(f"{path.name} is no CIFAR-10 file: its length is no multiple of 3,073 bytes.")
    rows = data.reshape(-1, 3073)
    return rows[:, 1:], _cifar_labels(path, rows[:, 0].astype(np.int64))


def _cifar_pickle(path: Path) -> tuple[Pixels, NDArray[np.int64]]:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
        values = np.asarray(content[b"data"])
        labels = np.asarray(content[b"labels"], np.int64)
    except Exception as error:  # an unpickler raises whatever a broken file makes it raise
        raise UsageError(
            f"{path.name} cannot be read as CIFAR-10. Use the binary version.", details=repr(error)
        ) from error
    if values.dtype != np.uint8 or values.shape != (len(labels), 3072):
        raise UsageError(f"{path.name} is no CIFAR-10 file: its pixels have the shape {values.shape}.")
    return values, _cifar_labels(path, labels)


def _cifar_labels(path: Path, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < 10:
        raise UsageError(f"{path.name} is no CIFAR-10 file: a label lies outside 0 to 9.")
    return labels


class _ArraysOnly(pickle.Unpickler):
    """Builds numpy arrays and the types of the language; anything else is refused by name."""

    def find_class(self, module: str, name: str) -> Any:
        if module in {"numpy.core.multiarray", "numpy._core.multiarray"} and name == "_reconstruct":
            from numpy._core.multiarray import _reconstruct

            return _reconstruct
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            import codecs

            return codecs.encode
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}")


def split(data: LabelledImages, fraction: float, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return indices (rest, part) where `part` holds about `fraction` of every class and no group lies on both sides.

    Groups are taken class by class (the class of a group is its most frequent one), in random order, until the class
    has its share. A class of a single group stays whole in the rest.

    Args:
        data: what to split.
        fraction: of the pictures that go into the part, in 0..1.
        seed: of the random order.
    """
    rng = np.random.default_rng(seed)
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(data.groups):
        members[int(group)].append(index)
    by_class: dict[int, list[int]] = defaultdict(list)
    for group, indices in members.items():
        votes = Counter(int(data.labels[index]) for index in indices)
        by_class[min(votes, key=lambda label: (-votes[label], label))].append(group)
    part: list[int] = []
    for label in sorted(by_class):
        groups = by_class[label]
        want = fraction * sum(len(members[group]) for group in groups)
        taken = 0
        order = rng.permutation(len(groups))
        # The last group stays in the rest, so that every class is learnt.
        for position in order[: len(groups) - 1]:
            if taken + len(members[groups[position]]) / 2 > want:
                break
            part += members[groups[position]]
            taken += len(members[groups[position]])
    chosen = np.zeros(len(data), bool)
    chosen[part] = True
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def load_pixels(
    data: LabelledImages,
    indices: Sequence[int] | NDArray[np.int64],
    size: Size,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Pixels, NDArray[np.int64], tuple[str, ...]]:
    """Return all pictures at once, squashed to `size`: pixels ``[n, height, width, 3]``, their indices, what failed.

    Args:
        data: where they come from.
        indices: which ones.
        size: (width, height); resized as the classifier does, bilinearly with antialiasing.
        cancelled: asked before each picture.

    Returns:
        Pictures that could not be read are missing from the first two and named in the third.

    Raises:
        Cancelled: when `cancelled` said so.
    """
    width, height = size
    pixels = np.empty((len(indices), height, width, 3), np.uint8)
    kept: list[int] = []
    failed: list[str] = []
    for index in indices:
        if cancelled is not None and cancelled():
            raise Cancelled
        try:
            picture = data.read(int(index))
        except ImageError as error:
            failed.append(f"{data.names[int(index)]}: {error.message}")
            continue
        if picture.shape[:2] != (height, width):
            picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
        pixels[len(kept)] = picture
        kept.append(int(index))
    return pixels[: len(kept)], np.array(kept, np.int64), tuple(failed)


def _pictures(root: Path) -> Iterable[Path]:
    for path in root.rglob("*"):
        if (
            path.suffix.lower() in SUFFIXES
            and not any(part.startswith(".") for part in path.relative_to(root).parts)
            and not path.stem.lower().endswith(MASK_ENDINGS)
            and path.is_file()
        ):
            yield path


def _dialect(text: str) -> type[csv.Dialect]:
    first = text.splitlines()[0] if text else ""

    class Found(csv.excel):
        delimiter = max(",;\t", key=first.count)

    return Found


def _first(header: Sequence[str], wanted: Sequence[str]) -> str | None:
    lower = {name.strip().lower(): name for name in header}
    return next((lower[name] for name in wanted if name in lower), None)


def _one_hot(header: Sequence[str], rows: Sequence[dict[str, str]], image_column: str) -> list[str]:
    """Return the columns that hold 0 or 1 only, when each row has exactly one 1 among them (or none)."""
    columns = [
        name
        for name in header
        if name != image_column and all((row.get(name) or "0").strip() in {"0", "1", "0.0", "1.0"} for row in rows)
    ]
    sums = [sum(float(row.get(name) or 0) for name in columns) for row in rows]
    return columns if len(columns) > 1 and all(total <= 1 for total in sums) else []


def _tell(names: Sequence[str], one: str, many: str) -> tuple[str, ...]:
    if not names:
        return ()
    shown = ", ".join(names[:3])
    if len(names) == 1:
        return (f"{shown} {one} and is left out.",)
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (f"{shown}{rest} {many} and are left out.",)
