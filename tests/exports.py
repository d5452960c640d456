"""Items, explain folders and projects to export in tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from camviewer.formats.names import UniqueNames, safe_part, safe_stem
from camviewer.formats.output import Output
from camviewer.formats.records import Category, Context, Item, ItemMask
from camviewer.formats.registry import writer
from camviewer.project.records import ClassTable, ImageRecord, Mask
from camviewer.project.store import Project

CATEGORIES = (Category(1, "melanoma"), Category(2, "naevus öä"), Category(3, "bcc"))


@st.composite
def masks(draw: st.DrawFn, *, side: int = 24) -> np.ndarray:
    """Masks with holes, islands and single pixels; full and empty ones."""
    shape = (draw(st.integers(1, side)), draw(st.integers(1, side)))
    kind = draw(st.sampled_from(["noise", "noise", "blocks", "full", "empty", "single"]))
    if kind in {"full", "empty"}:
        return np.full(shape, kind == "full")
    if kind == "noise":
        return draw(hnp.arrays(np.bool_, shape))
    mask = np.zeros(shape, bool)
    if kind == "single":
        mask[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = True
        return mask
    for value in (True, True, False):
        y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        mask[y : y + draw(st.integers(1, 12)), x : x + draw(st.integers(1, 12))] = value
    return mask


def item(file: str, pixels: Iterable[np.ndarray], *, names: UniqueNames | None = None, **changes) -> Item:
    pixels = list(pixels)
    stem = (names or UniqueNames()).take(safe_stem(file))
    height, width = pixels[0].shape
    found = tuple(ItemMask(i + 1, mask) for i, mask in enumerate(pixels))
    return Item(file, stem, safe_part(stem.replace("/", "_")), None, (width, height), found, **changes)


def write(folder: Path, name: str, items: Iterable[Item], **options) -> None:
    """Write items in one format, with its default options."""
    from camviewer.catalogue.formats import format_spec
    from camviewer.catalogue.parameters import complete

    spec = format_spec(name)
    folder.mkdir(parents=True, exist_ok=True)
    mode = options.pop("images", "copy" if spec.images else "reference")
    values = complete(spec.parameters, options, owner=name)
    made = writer(name)(
        Context(Output(folder), folder, CATEGORIES, values, images=mode, created="2026-01-01T00:00:00+00:00")
    )
    for entry in items:
        made.add(entry)
    made.close()


def photo(path: Path, size: tuple[int, int], *, seed: int = 0, **save) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **save)
    return path


def a_project(folder: Path, pixels: dict[str, dict[int, np.ndarray]], *, reviewed: Iterable[str] = ()) -> Path:
    """Make images and a project with masks by class id; those in `reviewed` are marked so."""
    folder.mkdir(parents=True, exist_ok=True)
    with Project.create(folder / "p.camviewer") as project:
        project.set_class_table(ClassTable.for_model(("melanoma", "naevus")))
        records = []
        for i, (name, found) in enumerate(pixels.items()):
            height, width = next(iter(found.values())).shape
            photo(folder / name, (width, height), seed=i)
            records.append(ImageRecord(PurePosixPath(name), (width, height)))
        project.add_images(records)
        for record in project.images():
            by_class = pixels[record.path.as_posix()]
            project.store_result(
                record.id, run_id=None, masks=[Mask(mask, class_id) for class_id, mask in by_class.items()]
            )
        project.set_status([r.id for r in project.images() if r.path.as_posix() in set(reviewed)], "reviewed")
    return folder / "p.camviewer"
