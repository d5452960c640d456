"""What the gallery shows of one image: plain data, made by the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from camviewer.project.records import Status

STATUS_WORDS: dict[Status, str] = {
    "new": "New",
    "computed": "Computed",
    "edited": "Edited",
    "reviewed": "Reviewed",
    "skipped": "Skipped",
    "failed": "Failed",
}
UNREVIEWED: frozenset[Status] = frozenset({"new", "computed", "edited"})

Outline = tuple[tuple[tuple[float, float], ...], ...]
Value: TypeAlias = float | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemOutline:
    """The outline of an image's largest mask.

    Attributes:
        polygons: corners as shares of the frame that the gallery shows.
        touched: whether a person touched that mask (solid line), else it is automatic (dashed).
        colour: of the mask's class.
    """

    polygons: Outline
    touched: bool = False
    colour: str = "#FFFFFF"


NO_OUTLINE = ItemOutline(())


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """One image as the gallery shows it.

    Attributes:
        id: of the image in the project.
        path: absolute path of the file.
        name: file name.
        label: name shown below the thumbnail, without what all names share.
        class_name, class_colour, probability: best class; empty where nothing was computed.
        error: sentence, for a failed image.
        values: what else is known, by the key of its trait; see `camviewer.ui.gallery.traits`.
        run: what made the automatic mask, in the project; None for none.
    """

    id: int
    path: Path
    name: str
    label: str
    status: Status = "new"
    class_name: str = ""
    class_colour: str = ""
    probability: float | None = None
    error: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    run: int | None = None

    @property
    def unreviewed(self) -> bool:
        """Whether a person still has to look at it."""
        return self.status in UNREVIEWED


def describe(item: GalleryItem) -> str:
    """Return an item in words, for screen readers and tooltips."""
    words = [item.name, STATUS_WORDS[item.status].lower()]
    if item.class_name and item.probability is not None:
        words.append(f"{item.class_name} {item.probability * 100:.0f} %")
    if item.values.get("label"):
        words.append(f"labelled {item.values['label']}")
    return ", ".join(words)


class ShortNames:
    """File names without ending and without the beginning that all share (``ISIC_0024306.jpg``: 0024306)."""

    def __init__(self) -> None:
        self._stems: dict[int, str] = {}
        self._low = self._high = ""
        self._shared = 0

    def add(self, names: Mapping[int, str]) -> bool:
        """Take the names of further images; return whether the short name of one that was there has changed."""
        stems = {image_id: Path(name).stem for image_id, name in names.items()}
        if not stems:
            return False
        ends = [*stems.values(), *([self._low, self._high] if self._stems else [])]
        before, known = self._shared, bool(self._stems)
        self._stems.update(stems)
        self._low, self._high = min(ends), max(ends)
        self._shared = _shared_beginning(self._low, self._high) if len(self._stems) > 1 else 0
        return known and self._shared != before

    def of(self, image_id: int) -> str:
        """Return the short name of an image that was added."""
        stem = self._stems[image_id]
        return stem[self._shared :] or stem


def _shared_beginning(low: str, high: str) -> int:
    """Return how many letters all names from `low` to `high` begin with, up to a separator: numbers stay whole."""
    shared = 0
    while shared < min(len(low), len(high)) and low[shared] == high[shared]:
        shared += 1
    while shared and low[shared - 1] not in "_- .":
        shared -= 1
    return shared
