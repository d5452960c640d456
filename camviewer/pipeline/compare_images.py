"""The images that checkpoints are compared on: labelled or not, with true masks, reviewed masks or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import CamviewerError, UsageError
from camviewer.images.decode import read_image
from camviewer.images.geometry import Size
from camviewer.images.scan import scan
from camviewer.pipeline.truth import TruthFolder
from camviewer.project.facts import all_facts
from camviewer.project.mask_blob import MaskBlob, pack, unpack
from camviewer.project.store import Project
from camviewer.project.truth import images_with_truth, truths
from camviewer.regions.find import BoolMask
from camviewer.training.datasets import Files, LabelledImages, read_cifar10, read_dataset
from camviewer.training.project_labels import image_labels, is_project

Pixels = NDArray[np.uint8]
MaskOf = Callable[[Size], BoolMask | None]


def _no_mask(_size: Size) -> BoolMask | None:
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One image to compare on.

    Attributes:
        name: for lists and messages.
        path: of its file, None for pictures in memory.
        label: true class by name, empty when unknown.
        read: returns upright RGB ``[H, W, 3]``, or raises `ImageError`.
        mask: returns the mask of an image of that size, None where there is none, or raises `FormatError`.
    """

    name: str
    path: Path | None
    label: str
    read: Callable[[], Pixels]
    mask: MaskOf = _no_mask


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Images with what is known of them.

    Attributes:
        items: the images, in random order when some were drawn.
        classes: names of the labels, in the order of the data; empty without labels.
        masks: ``true``, ``reviewed`` or empty.
        notes: sentences for the user.
    """

    items: tuple[Picture, ...]
    classes: tuple[str, ...]
    masks: str
    notes: tuple[str, ...]


def find_pictures(
    images: Path, truth: Path | None = None, *, folder: Path | None = None, limit: int = 0, seed: int = 0
) -> Pictures:
    """Return the pictures of a folder, a data set or a project, at most `limit` (0 for all).

    Args:
        images: folder, CSV file or project.
        truth: folder of true masks or COCO file.
        folder: where the pictures of a CSV file lie; its own folder when None.
        limit: most pictures; drawn evenly over the labels.
        seed: of the draw.

    Raises:
        UsageError: when there are none.
        ProjectError: when a project cannot be read.
    """
    found = _of_project(images) if is_project(images) else _of_files(images, folder)
    if truth is not None:
        known = TruthFolder(truth)
        found = replace(found, items=tuple(replace(p, mask=_mask_in(known, p)) for p in found.items), masks="true")
    if not found.items:
        raise UsageError(f"There are no images in {images}.")
    if limit and len(found.items) > limit:
        drawn = _draw(found.items, limit, seed)
        even = ", drawn evenly over the classes" if found.classes else ", drawn at random"
        note = f"Measured on {limit} of {len(found.items)} images{even}."
        found = replace(found, items=drawn, notes=(*found.notes, note))
    return found


def _draw(items: tuple[Picture, ...], limit: int, seed: int) -> tuple[Picture, ...]:
    """Return `limit` pictures, one of each label in turn."""
    rng = np.random.default_rng(seed)
    by_label: dict[str, list[Picture]] = defaultdict(list)
    for index in rng.permutation(len(items)):
        by_label[items[int(index)].label].append(items[int(index)])
    drawn: list[Picture] = []
    while len(drawn) < limit:
        for label in sorted(by_label):
            if by_label[label] and len(drawn) < limit:
                drawn.append(by_label[label].pop())
    return tuple(drawn)


def _of_files(images: Path, folder: Path | None) -> Pictures:
    if any((images / name).is_file() for name in ("test_batch", "test_batch.bin")):
        return of_dataset(read_cifar10(images, test=True))  # what no training on this folder has learnt from
    try:
        data = read_dataset(images, images=folder)
    except UsageError:
        if not images.is_dir():
            raise
        files = scan([images])  # pictures without labels
        plain = tuple(Picture(file.relative, file.path, "", _reader(file.path)) for file in files)
        return Pictures(plain, (), "", ())
    return of_dataset(data)


def of_dataset(data: LabelledImages) -> Pictures:
    """Return the pictures of a labelled data set, without masks."""
    paths = data.source.paths if isinstance(data.source, Files) else None
    items = tuple(
        Picture(
            name if paths is None else paths[index].name,
            None if paths is None else paths[index],
            data.classes[int(data.labels[index])],
            _indexed(data, index),
        )
        for index, name in enumerate(data.names)
    )
    return Pictures(items, data.classes, "", data.skipped)


def _of_project(path: Path) -> Pictures:
    items: list[Picture] = []
    with Project.open(path) as project:
        facts = all_facts(project)
        true = set(images_with_truth(project))
        kind = "true" if true else "reviewed"
        masked = 0
        for record in project.images():
            file = project.file_of(record)
            if record.id is None or record.status == "failed" or not file.is_file():
                continue
            labels = image_labels(project, record, facts.get(record.id, {}))
            if true:
                pixels = [truth.pixels for truth in truths(project, record.id)] if record.id in true else []
            elif record.status == "reviewed":
                pixels = [mask.pixels for mask in project.final_masks(record.id)]
            else:
                pixels = [mask.pixels for mask in project.masks(record.id, slot="reviewed")]
            whole = np.logical_or.reduce(pixels) if pixels else None
            blob = pack(whole) if whole is not None and whole.any() else None
            masked += blob is not None
            label = labels[0] if len(labels) == 1 else ""
            items.append(Picture(record.path.name, file, label, _reader(file), _packed(blob)))
    classes = tuple(dict.fromkeys(item.label for item in items if item.label))
    return Pictures(tuple(items), classes if len(classes) > 1 else (), kind if masked else "", ())


def _reader(path: Path) -> Callable[[], Pixels]:
    return lambda: read_image(path)


def _indexed(data: LabelledImages, index: int) -> Callable[[], Pixels]:
    return lambda: data.read(index)


def _packed(blob: MaskBlob | None) -> MaskOf:
    def mask(size: Size) -> BoolMask | None:
        return None if blob is None or blob.size != size else unpack(blob)

    return mask


def _mask_in(known: TruthFolder, picture: Picture) -> MaskOf:
    def mask(size: Size) -> BoolMask | None:
        try:
            found = known.find(picture.name, size, source=picture.path)
        except CamviewerError:
            return None  # a damaged mask is no truth; the count of masks shows it
        return None if found is None else found.mask

    return mask
