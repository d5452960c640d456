"""Showing the image that is looked at: canvas, header, facts; and the page for an open project or none."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QObject, Qt, Slot

from camviewer.project.store import Project
from camviewer.ui.bench import Bench
from camviewer.ui.gallery.items import STATUS_WORDS, GalleryItem
from camviewer.ui.layout import Layout
from camviewer.ui.panels.image import ImageFacts
from camviewer.ui.session import ShownImage

_PAIRS = {"age": "age", "sex": "sex", "localization": "site", "anatom_site_general": "site", "dx_type": "confirmed"}
"""Facts that are shown with the image, and the words before them."""


class Showing(QObject):
    """Takes what the session says about images to the parts that show them."""

    def __init__(self, bench: Bench, layout: Layout) -> None:
        super().__init__(bench)
        self._bench, self._layout = bench, layout
        session, gallery = bench.session, bench.gallery
        session.project_opened.connect(self._on_project)
        session.items_reset.connect(gallery.model.set_items)
        session.items_found.connect(gallery.model.add_items)
        session.item_changed.connect(gallery.model.update_item)
        session.item_changed.connect(self._on_item)
        session.image_shown.connect(self._on_image)
        gallery.image_chosen.connect(session.show_image)
        bench.image.note_changed.connect(session.set_note)
        bench.image.flags_changed.connect(session.set_flags)

    @Slot(object)
    def _on_project(self, project: Project | None) -> None:
        bench = self._bench
        bench.stage.show_page(None)
        self._layout.show_workbench(project is not None)
        bench.gallery.pictures.clear()
        if project is None:
            bench.gallery.model.set_items([])
            bench.window.setWindowTitle("camviewer")
            bench.header.set_image("", "", "new")
        else:
            bench.canvas.setFocus(Qt.FocusReason.OtherFocusReason)
            name = "Demo, synthetic images" if bench.session.synthetic else project.path.stem
            bench.window.setWindowTitle(f"{name} – camviewer")

    @Slot(object)
    def _on_image(self, shown: ShownImage | None) -> None:
        bench = self._bench
        if shown is None:
            bench.canvas.set_image(None)
            bench.regions.set_regions([], (0, 0))
            bench.image.set_image(None)
            bench.gallery.set_current(None)
            return
        self._show_header(shown)
        bench.gallery.set_current(shown.record.id)
        if shown.pixels is not None:
            bench.canvas.set_image(shown.pixels, str(shown.path))
            bench.canvas.set_rule(bench.computing.rule)
        elif shown.error:
            first, _, rest = shown.error.partition(". ")
            bench.canvas.set_image(None)
            bench.canvas.set_message(f"{first.rstrip('.')}.", rest)
        self._show_facts(shown)

    def _show_facts(self, shown: ShownImage) -> None:
        record, blind = shown.record, self._bench.session.blind
        if record.size == (0, 0):
            self._bench.image.set_image(None)
            return
        known = {} if blind or record.id is None else self._bench.session.facts(record.id)
        words = [(_PAIRS[name], str(value)) for name, value in known.items() if name in _PAIRS]
        if record.reviewer and record.reviewed_at:
            words.append((f"{STATUS_WORDS[record.status]} by", f"{record.reviewer}, {_day(record.reviewed_at)}"))
        if "reason" in known:
            words.append(("because", str(known["reason"])))
        facts = ImageFacts(
            name=self._name(shown),
            label=str(known.get("label", "")),
            metadata=tuple(words),
            size=record.size,
            format=record.path.suffix.lstrip(".").upper().replace("JPG", "JPEG"),
            file_size=record.file_size,
            flags=record.flags,
            note=record.note,
        )
        self._bench.image.set_image(facts)

    def _show_header(self, shown: ShownImage) -> None:
        note = "Synthetic demo image" if self._bench.session.synthetic else ""
        position = f"{shown.position:,} of {shown.total:,}"
        if self._bench.session.blind:
            position, note = f"of {shown.total:,}", "Blind"
        self._bench.header.set_image(self._name(shown), position, shown.record.status, note=note)

    def _name(self, shown: ShownImage) -> str:
        """Return the file's name, or its place in the shuffled gallery while nobody is to know it."""
        if not self._bench.session.blind:
            return shown.record.path.name
        row = self._bench.gallery.model.row_of(shown.record.id or 0)
        return "Image" if row is None else f"Image {row + 1:,}"

    @Slot(object)
    def _on_item(self, item: GalleryItem) -> None:
        current = self._bench.session.current
        if current is not None and current.record.id == item.id:
            self._show_header(current)


def _day(moment: str) -> str:
    """Return a time of the project (ISO 8601, UTC) as the local day and minute."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
