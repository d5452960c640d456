"""What images can be searched and sorted by: one table, from which grammar, completion, help and sort menu are built.

A new figure needs a row here and a fact of that name in the project (`camviewer.project.facts`), nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from camviewer.ui.gallery.items import GalleryItem, Value

Kind = Literal["text", "word", "list", "number", "share", "yes", "date"]


@dataclass(frozen=True, slots=True)
class Trait:
    """One property of an image.

    Attributes:
        key: word of the grammar, before the colon.
        kind: ``word`` is known by its beginning, ``text`` and ``list`` by any part, ``share`` is a number from 0 to 1
            that may be written in per cent, ``yes`` is true or not.
        means: what it is, for help and completion.
        example: a value as one writes it.
        orders: entries of the sort menu: (text, largest first).
        revealing: whether blind mode must not use it, because it tells diagnosis, prediction or name.
        read: takes it from an item; the item's value under `key` when None.
    """

    key: str
    kind: Kind
    means: str
    example: str
    orders: tuple[tuple[str, bool], ...] = ()
    revealing: bool = True
    read: Callable[[GalleryItem], Value | None] | None = None

    def of(self, item: GalleryItem) -> Value | None:
        """Return the item's value, None where it is unknown."""
        return item.values.get(self.key) if self.read is None else self.read(item)


TRAITS: tuple[Trait, ...] = (
    Trait("name", "text", "File name", "isic_0024", read=lambda item: item.name),
    Trait(
        "status",
        "word",
        "Review state, or unreviewed",
        "unreviewed",
        revealing=False,
        read=lambda item: (item.status, "unreviewed") if item.unreviewed else (item.status,),
    ),
    Trait("class", "text", "Predicted class", "melanoma", read=lambda item: item.class_name or None),
    Trait(
        "conf",
        "share",
        "Confidence in the predicted class",
        "<0.6",
        (("Most confident", True), ("Least confident", False)),
        read=lambda item: item.probability,
    ),
    Trait("entropy", "share", "Spread over all classes, 1 when all are equally likely", ">0.5", (("Entropy", True),)),
    Trait(
        "margin", "share", "How far the best of the new classes is ahead", "<0.2",
        (("Least sure of new classes", False),),
    ),
    Trait("guess", "text", "What the new classes say", "mel"),
    Trait("label", "text", "Diagnosis that came with the image", "mel"),
    Trait("wrong", "yes", "Whether prediction and label differ", "yes"),
    Trait(
        "area", "share", "Area of the masks, as a share of the image", ">20%",
        (("Largest mask", True), ("Smallest mask", False)),
    ),
    Trait("doubt", "share", "How likely the automatic mask is wrong", ">0.5", (("Most doubtful mask", True),)),
    Trait("disagreement", "share", "How differently methods see the class", ">0.3", (("Methods disagree", True),)),
    Trait(
        "attention", "share", "Share of the map that lies on the lesion", "<0.5",
        (("Attention off the lesion", False),),
    ),
    Trait("flag", "list", "Flags set by hand", "hair", revealing=False),
    Trait("finding", "list", "Artefacts that the program found", "ruler", revealing=False),
    Trait("lesion", "text", "Images of one lesion", "HAM_0000118", (("Same lesion together", False),)),
    Trait("reviewer", "text", "Who decided", "anna", revealing=False),
    Trait("reason", "text", "Why it was skipped", "blurred", revealing=False),
    Trait("note", "text", "Note", "ask"),
    Trait("edited", "date", "Day of the last change", ">=2026-11-01", (("Last edited", True),), revealing=False),
    Trait("stale", "yes", "Whether model, layer, method or threshold changed after the mask", "yes", revealing=False),
)  # fmt: skip
BY_KEY: dict[str, Trait] = {trait.key: trait for trait in TRAITS}

ALIASES: dict[str, str] = {
    "confidence": "conf",
    "probability": "conf",
    "prediction": "class",
    "dx": "label",
    "diagnosis": "label",
    "disagree": "disagreement",
    "artefact": "finding",
    "artifact": "finding",
    "flags": "flag",
    "state": "status",
}
"""Other words for the same, so that a guess works too."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the gallery; without a trait it is the project's."""

    text: str
    key: str = ""
    largest_first: bool = False


ORDERS: tuple[Order, ...] = (
    Order("Name"),
    *(Order(text, trait.key, largest) for trait in TRAITS for text, largest in trait.orders),
)
