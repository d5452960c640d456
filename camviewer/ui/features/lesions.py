"""Images of the same lesion: a strip of small pictures beside the image, and the gallery narrowed to them."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Slot

from camviewer.project.facts import LESION
from camviewer.ui.bench import Bench


class Lesions(QObject):
    """Knows which images belong together where a table says so; blind review hides it."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        strip, session = bench.image.lesion, bench.session
        strip.set_pictures(bench.gallery.pictures)
        strip.image_wanted.connect(self._go)
        strip.all_wanted.connect(self._show_all)
        bench.actions.connect("same_lesion", self._show_all)
        session.image_shown.connect(self._show)
        session.item_changed.connect(self._show)
        session.items_reset.connect(self._show)

    @Slot(int)
    def _go(self, image_id: int) -> None:
        self._bench.session.show_image(image_id)
        self._bench.canvas.setFocus(Qt.FocusReason.OtherFocusReason)  # the picture that was pressed is gone

    @Slot()
    def _show(self) -> None:
        session = self._bench.session
        current = session.current
        hidden = current is None or session.blind
        self._bench.image.lesion.set_items([] if hidden or current is None else session.siblings(current.record))

    @Slot()
    def _show_all(self) -> None:
        """Narrow the gallery to the images of the lesion on the canvas, or widen it again."""
        current, search = self._bench.session.current, self._bench.gallery.search
        if search.text().startswith("lesion:"):
            search.clear()
            return
        lesion = self._bench.session.facts(current.record.id or 0).get(LESION) if current is not None else None
        if not lesion or self._bench.session.blind:
            self._bench.say("No other image of this lesion is known.", "A table with a column lesion_id says which")
        else:
            search.setText(f'lesion:"{lesion}"')
