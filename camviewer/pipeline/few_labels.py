"""From a few labelled pictures to new classes of a network: predictions for the gallery, and a checkpoint."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camviewer.errors import UsageError
from camviewer.models.records import LoadRequest
from camviewer.models.rehead import OpenNetwork
from camviewer.training.feature_cache import FeatureCache
from camviewer.training.features import FeatureReader, GalleryFeatures
from camviewer.training.few_labels import BACKGROUND, Labelled, NewClasses, fit_classes, margins, spread_borders


@dataclass(frozen=True, slots=True)
class Mark:
    """A label: a picture shows a class, or one point of it does.

    Attributes:
        path: of the picture.
        name: class; `BACKGROUND` for what is no object.
        point: image point (pixel edges), or None for the whole picture.
    """

    path: Path
    name: str
    point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """What the new classes say of a picture.

    Attributes:
        name, probability: of the best class.
        margin: by how much it beats the second, 0..1; the least sure picture has the smallest.
    """

    path: Path
    name: str
    probability: float
    margin: float


@dataclass(frozen=True, slots=True, eq=False)
class FewLabelsResult:
    """New classes, and what they say.

    Attributes:
        classes: the class layer.
        guesses: one a picture of the gallery, in its order.
        messages: sentences on marks that were left out.
    """

    classes: NewClasses
    guesses: tuple[Guess, ...]
    messages: tuple[str, ...] = ()

    def least_sure(self, *, without: Sequence[Path] = ()) -> list[Guess]:
        """Return the guesses by margin, the least sure first, without some pictures (those with labels)."""
        left_out = set(without)
        return sorted((guess for guess in self.guesses if guess.path not in left_out), key=lambda guess: guess.margin)


class FewLabels:
    """One network that learns new classes. Not thread-safe: one thread owns it.

    Args:
        request: which network.
        cache: of features; None keeps none.

    Raises:
        CheckpointError, ModelError: when it cannot be loaded, or cannot take new classes.
    """

    def __init__(self, request: LoadRequest, *, cache: FeatureCache | None = None) -> None:
        self.network = OpenNetwork(request)
        self._reader = FeatureReader(self.network, cache)

    def read(
        self,
        paths: Sequence[Path],
        *,
        on_image: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> GalleryFeatures:
        """Return the features of a gallery; arguments and errors as of `FeatureReader.read`."""
        return self._reader.read(paths, on_image=on_image, cancelled=cancelled)

    def fit(
        self, gallery: GalleryFeatures, marks: Sequence[Mark], *, border: bool = True, estimate: bool = True
    ) -> FewLabelsResult:
        """Fit new classes to `marks` and apply them to the gallery.

        Args:
            gallery: features of the pictures, marked ones among them.
            marks: of a picture and a class the last one counts.
            border: whether the border of the pictures feeds the background.
            estimate: whether to estimate the accuracy.

        Raises:
            UsageError: when there is nothing to tell apart.
            ImageError: when a picture with a click cannot be read.
        """
        row_of = {path: row for row, path in enumerate(gallery.paths)}
        whole = {mark.path: mark.name for mark in marks if mark.point is None}
        missing = sorted({mark.path.name for mark in marks if mark.path not in row_of})
        used = [(row_of[path], name, gallery.whole[row_of[path]]) for path, name in whole.items() if path in row_of]
        clicks = [
            (row_of[mark.path], mark.name, self._reader.cell(mark.path, *mark.point))
            for mark in marks
            if mark.point is not None and mark.path in row_of
        ]
        rows = [*used, *clicks]
        if not rows:
            raise UsageError("There are no labels for these pictures. Label pictures of two classes.")
        labelled = Labelled(
            np.stack([features for _, _, features in rows]),
            tuple(name for _, name, _ in rows),
            np.array([row for row, _, _ in rows], np.int64),
            np.arange(len(rows)) >= len(used),
        )
        borders = spread_borders(gallery.border, [row for row, _, _ in rows]) if border else None
        found = fit_classes(labelled, borders, estimate=estimate)
        messages: tuple[str, ...] = ()
        if missing:
            shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            messages = (f"Labels of pictures that cannot be read or are not there are left out: {shown}.",)
        return FewLabelsResult(found, guesses(found, gallery), messages)

    def save(self, path: Path, classes: NewClasses) -> None:
        """Write the network with new classes as a checkpoint that loads like any other.

        Raises:
            CheckpointError: when the file cannot be written.
        """
        self.network.set_classes(classes.classes, classes.weight, classes.bias)
        self.network.save(path, extra={"labels": str(sum(classes.counts.values()))})


def guesses(classes: NewClasses, gallery: GalleryFeatures) -> tuple[Guess, ...]:
    """Return what `classes` say of every picture of a gallery."""
    probabilities = classes.probabilities(gallery.whole)
    best, margin = probabilities.argmax(axis=1), margins(probabilities)
    return tuple(
        Guess(path, classes.classes[index], float(row[index]), float(gap))
        for path, index, row, gap in zip(gallery.paths, best, probabilities, margin, strict=True)
    )


def read_marks(table: Path, pictures: Sequence[Path]) -> list[Mark]:
    """Return the labels of a CSV file with the columns ``image``, ``label`` and perhaps ``x`` and ``y``.

    Images are named by file name, with or without its ending, or by a path that ends with it.

    Raises:
        UsageError: when the file cannot be read, lacks a column, or names a picture that is not among `pictures`.
    """
    by_name: dict[str, Path] = {}
    for path in pictures:
        by_name.setdefault(path.name, path)
        by_name.setdefault(path.stem, path)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = [name.strip().casefold() for name in reader.fieldnames or ()]
            rows = [{(k or "").strip().casefold(): (v or "").strip() for k, v in row.items()} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error, AttributeError) as error:
        raise UsageError(f"{table.name} cannot be read as a table of labels.", details=repr(error)) from error
    image = next((name for name in ("image", "image_id", "file", "path", "filename") if name in header), None)
    label = next((name for name in ("label", "class", "dx", "name") if name in header), None)
    if image is None or label is None:
        raise UsageError(f"{table.name} needs the columns image and label, and for clicks x and y.")
    marks = []
    for number, row in enumerate(rows, start=2):
        if not row[label]:
            continue
        named = by_name.get(Path(row[image]).name)
        if named is None:
            raise UsageError(f"{table.name}, line {number}: there is no picture {row[image] or '(empty)'}.")
        marks.append(Mark(named, row[label], _point(row, table, number)))
    return marks


def _point(row: dict[str, str], table: Path, number: int) -> tuple[float, float] | None:
    if not row.get("x") and not row.get("y"):
        return None
    try:
        return float(row["x"]), float(row["y"])
    except (KeyError, ValueError):
        raise UsageError(f"{table.name}, line {number}: x and y need a number each.") from None


__all__ = [
    "BACKGROUND",
    "FewLabels",
    "FewLabelsResult",
    "GalleryFeatures",
    "Guess",
    "Mark",
    "NewClasses",
    "guesses",
    "read_marks",
]
