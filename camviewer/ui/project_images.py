"""The images of the open project: their records, classes, predictions and facts, and what the gallery shows of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from PySide6.QtCore import QObject, Signal

from camviewer.errors import CamviewerError, ProjectError
from camviewer.project.facts import Fact
from camviewer.project.predictions import translate_predictions
from camviewer.project.records import ClassTable, ImageRecord
from camviewer.project.store import Project
from camviewer.project.temperature import Network, Temperature, Top
from camviewer.ui.gallery.items import NO_OUTLINE, GalleryItem, ItemOutline
from camviewer.ui.item_book import ItemBook
from camviewer.ui.undo import Undo

log = logging.getLogger(__name__)


class ProjectImages(QObject):
    """What a project holds of its images, kept at hand; which of them is looked at is not known here.

    Signals:
        items_reset: list of `GalleryItem`, all of them.
        items_found: list of `GalleryItem` that were added; the first ones replace what was there.
        item_changed: `GalleryItem`.
        said: (text, detail, tone) for the status bar.
    """

    items_reset = Signal(object)
    items_found = Signal(object)
    item_changed = Signal(object)
    said = Signal(str, str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo = Undo(self, on_error=self._say_error)
        self.project: Project | None = None
        self.table = ClassTable()
        self.model_names: tuple[str, ...] = ()
        self.blind = False
        self._records: dict[int, ImageRecord] = {}
        self._order: dict[int, int] = {}
        self._paths: set[PurePosixPath] = set()
        self._book: ItemBook | None = None

    # --- records and items --------------------------------------------------------------------------------------------

    def record(self, image_id: int) -> ImageRecord | None:
        """Return an image's record."""
        return self._records.get(image_id)

    def records(self) -> list[ImageRecord]:
        """Return all records in the project's order."""
        return list(self._records.values())

    def _take(self, records: list[ImageRecord]) -> bool:
        """Add images; return whether the short name of one that was there has changed."""
        for record in records:
            if record.id is None:
                continue
            self._records[record.id] = record
            self._order.setdefault(record.id, len(self._order) + 1)
            self._paths.add(record.path)
        return self._book is not None and self._book.name(records)

    def _items(self) -> list[GalleryItem]:
        book = self._book
        return [] if book is None else [book.make(record) for record in self._records.values()]

    def refresh_items(self) -> None:
        """Read the facts of all images again and tell the gallery."""
        if self._book is not None:
            self._book.renew_facts()
            self.items_reset.emit(self._items())

    def _renew(self, image_id: int) -> ImageRecord | None:
        """Read an image's record and facts again; None where that does not work."""
        if self.project is None or self._book is None or image_id not in self._records:
            return None
        try:
            record = self.project.image(image_id)
            self._book.renew(image_id)
        except ProjectError as error:
            self._say_error(error)
            return None
        self._records[image_id] = record
        return record

    def _renew_all(self) -> bool:
        """Read all records again and tell the gallery; return whether that worked."""
        if self.project is None:
            return False
        try:
            self._records.update((record.id, record) for record in self.project.images() if record.id is not None)
            self._book = book = ItemBook(self.project, self._class_of_model)
        except ProjectError as error:
            self._say_error(error)
            return False
        book.set_classes(self.table.model_names)
        book.name(self._records.values())
        self.items_reset.emit(self._items())
        return True

    def outline(self, image_id: int) -> ItemOutline:
        """Return the outline of an image's largest mask for the gallery."""
        record = self._records.get(image_id)
        if self._book is None or record is None:
            return NO_OUTLINE
        return self._book.outline(record, lambda class_id: (not self.blind and self.class_of(class_id)[1]) or "#FFFFFF")

    def siblings(self, record: ImageRecord) -> list[GalleryItem]:
        """Return the other images of the same lesion, in the project's order; none where nobody said which."""
        book = self._book
        if book is None or record.id is None:
            return []
        ids = [image_id for image_id in book.siblings(record.id) if image_id in self._order]
        return [book.make(self._records[image_id]) for image_id in sorted(ids, key=self._order.__getitem__)]

    def top(self, record: ImageRecord) -> Top:
        """Return the predictions of an image, at the temperature of their network where one was fitted."""
        return record.top if self._book is None else self._book.top(record)

    def temperature(self, network: Network) -> Temperature | None:
        """Return the temperature of a network, or None."""
        return None if self._book is None else self._book.temperature(network)

    def temperature_at(self, record: ImageRecord) -> Temperature | None:
        """Return the temperature that the predictions of an image are shown at, or None."""
        return None if self._book is None else self._book.temperature_at(record)

    def facts(self, image_id: int) -> dict[str, Fact]:
        """Return what is known of an image besides its record, see `camviewer.project.facts`."""
        return {} if self._book is None else self._book.facts(image_id)

    # --- classes ------------------------------------------------------------------------------------------------------

    def has_class(self, class_id: int) -> bool:
        """Return whether the project has an annotation class of this id."""
        return any(entry.id == class_id for entry in self.table.classes)

    def class_of(self, class_id: int) -> tuple[str, str | None]:
        """Return name and colour of an annotation class; empty for none."""
        try:
            entry = self.table[class_id]
        except KeyError:
            return "", None
        return entry.name, entry.colour

    def class_id_of(self, class_index: int) -> int:
        """Return the annotation class of a model class, 0 for none."""
        return self.table.by_model.get(class_index, 0)

    def set_model_classes(self, names: tuple[str, ...]) -> None:
        """Take the classes of a loaded model; a project without classes gets them, others are matched by name."""
        self.model_names = names
        if self.project is None:
            self.table = ClassTable.for_model(names)
            return
        table = self.table
        ids = {entry.name: entry.id for entry in table.classes}
        project = self.project

        def extend() -> ClassTable:
            with project.transaction():
                for name in names:
                    if name not in ids:
                        ids[name] = project.add_class(name).id
                fresh = project.class_table()
                by_model = {i: ids[name] for i, name in enumerate(names)}
                project.set_class_table(replace(fresh, by_model=by_model))
                if translate_predictions(project, fresh.by_model, by_model):
                    self._records.update((record.id, record) for record in project.images() if record.id is not None)
            return project.class_table()

        table = self._guarded(extend)
        if table is not None:
            self.table = table
            if self._book is not None:
                self._book.set_classes(table.model_names)
            self.items_reset.emit(self._items())

    def _class_of_model(self, class_index: int) -> tuple[str, str]:
        name, colour = self.class_of(self.class_id_of(class_index))
        known = class_index < len(self.model_names)
        return name or (self.model_names[class_index] if known else f"class {class_index}"), colour or "#FFFFFF"

    def _say_error(self, error: CamviewerError) -> None:
        if error.details:
            log.warning("%s: %s", error.message, error.details)
        waits = isinstance(error, ProjectError) and self.undo.unwritten
        self.said.emit(
            error.message, "The edit is kept; File, Save project as writes it elsewhere" if waits else "", "bad"
        )

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """Run what writes the project; one that cannot be written is said."""
        try:
            return work()
        except CamviewerError as error:
            self._say_error(error)
            return None
