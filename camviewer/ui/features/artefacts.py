"""Artefacts: looked for in every image that stays on the canvas, shown as a layer, suggested as flags."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot

from camviewer.regions.artefacts import Artefacts, Kind
from camviewer.ui.bench import Bench
from camviewer.ui.session import ShownImage
from camviewer.workers.tasks import TaskDone, look_for_artefacts

WAIT_MS = 250
"""Wait before looking, so that browsing with a held key does not look at every image."""

_FLAGS: dict[Kind, str] = {
    "hair": "hair",
    "dark corner": "vignette",
    "ruler": "ruler",
    "ink": "ink",
    "sticker": "sticker",
    "gel bubble": "gel",
}


class ShowingArtefacts(QObject):
    """Takes the image on the canvas to a thread, and what is found there back to canvas and Image panel."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(WAIT_MS)
        self._wait.timeout.connect(self._look)
        bench.session.image_shown.connect(self._on_image)
        bench.session.tasks.done.connect(self._on_found)
        bench.actions.connect("show_artefacts", self._show)

    def _show(self) -> None:
        self._bench.canvas.set_artefacts_visible(self._bench.actions["show_artefacts"].isChecked())

    @Slot(object)
    def _on_image(self, shown: ShownImage | None) -> None:
        self._wait.stop()
        self._bench.session.tasks.drop("artefacts")
        self._bench.canvas.set_artefacts(None)
        self._bench.image.set_suggestions(())
        if shown is not None and shown.pixels is not None:
            self._wait.start()

    @Slot()
    def _look(self) -> None:
        current = self._bench.session.current
        if current is not None and current.pixels is not None:
            pixels = current.pixels
            subject = current.record.id
            self._bench.session.tasks.submit("artefacts", subject, lambda _reporter: look_for_artefacts(pixels))

    @Slot(object)
    def _on_found(self, answer: TaskDone) -> None:
        current = self._bench.session.current
        if answer.key != "artefacts" or answer.error or current is None or current.record.id != answer.subject:
            return
        found: Artefacts = answer.result
        self._bench.canvas.set_artefacts(found)
        self._bench.image.set_suggestions(tuple(_FLAGS[kind] for kind in found.flags))
