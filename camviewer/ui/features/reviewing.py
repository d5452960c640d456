"""Reviewing: deciding about one image after the other."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication, QLineEdit, QPlainTextEdit

from camviewer.project.records import Status
from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.accept import Acceptance, AcceptDialog
from camviewer.ui.dialogs.reason import ReasonDialog
from camviewer.ui.gallery.items import GalleryItem


class Reviewing(QObject):
    """Which image is next, and what was decided about this one."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        on = bench.actions.connect
        on("previous", lambda: self.step(-1))
        on("next", lambda: self.step(1))
        on("previous_unreviewed", lambda: self.step(-1, unreviewed=True))
        on("next_unreviewed", lambda: self.step(1, unreviewed=True))
        on("mark_reviewed", self.mark_reviewed)
        on("skip", self.skip)
        on("skip_because", self._ask_reason)
        on("reopen", self.reopen)
        on("review_selected", lambda: bench.session.decide(bench.gallery.selected(), "reviewed"))
        on("skip_selected", lambda: bench.session.decide(bench.gallery.selected(), "skipped"))
        on("reopen_selected", lambda: bench.session.decide(bench.gallery.selected(), "new"))
        on("compute_selected", lambda: bench.batch.compute(bench.gallery.selected()))
        on("select_all", bench.gallery.strip.selectAll)
        on("accept_sure", self._ask_acceptance)
        names = ("review_selected", "skip_selected", "compute_selected", "reopen_selected")
        bench.gallery.set_batch_actions([bench.actions[name] for name in names])
        bench.header.reviewed_pressed.connect(self.mark_reviewed)
        bench.header.skip_pressed.connect(self.skip)

    def step(self, direction: int, *, unreviewed: bool = False) -> bool:
        """Go to the next or previous image of the gallery; return whether there was one."""
        wanted: Callable[[GalleryItem], bool] = (lambda item: item.unreviewed) if unreviewed else (lambda _item: True)
        image_id = self._bench.gallery.neighbour(direction, wanted=wanted)
        if image_id is None:
            word = "unreviewed image" if unreviewed else "image"
            self._bench.say(f"No further {word} in this direction.")
            return False
        self._bench.session.show_image(image_id)
        return True

    @Slot()
    def mark_reviewed(self) -> None:
        """Mark the image reviewed and go to the next unreviewed; Enter in a text field only leaves the field."""
        if isinstance(QApplication.focusWidget(), QLineEdit | QPlainTextEdit):
            self._bench.canvas.setFocus()
        else:
            self._decide("reviewed")

    @Slot()
    def skip(self) -> None:
        """Leave the image out and go on."""
        self._decide("skipped")

    def _ask_reason(self) -> None:
        bench = self._bench
        current = bench.session.current
        if current is None:
            return
        dialog = ReasonDialog("" if bench.gallery.model.blind else current.record.path.name, bench.window)
        dialog.chosen.connect(self._skip_because)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def _skip_because(self, reason: str) -> None:
        self._decide("skipped", reason=reason)

    def _ask_acceptance(self) -> None:
        bench = self._bench
        doubts = [
            (item.id, doubt)
            for item in bench.gallery.model.items()
            if item.status == "computed" and isinstance(doubt := item.values.get("doubt"), float)
        ]
        if not doubts:
            bench.say("No mask has a doubt yet.", "Compute all images with the refinement auto first")
            return
        dialog = AcceptDialog(doubts, bench.window)
        dialog.chosen.connect(self._accept)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(object)
    def _accept(self, found: Acceptance) -> None:
        session = self._bench.session
        session.add_flag(found.audit, "audit")
        if session.decide(found.accepted, "reviewed"):
            words = f"{len(found.accepted):,} images accepted unseen."
            self._bench.say(words, f"Look at the {len(found.audit):,} drawn ones: search flag:audit", "ok")

    def _decide(self, status: Status, *, reason: str = "") -> None:
        session, gallery = self._bench.session, self._bench.gallery
        if session.current is None:
            return
        session.set_status(status, reason=reason)
        following = gallery.neighbour(1, wanted=lambda item: item.unreviewed)
        if following is None:
            following = gallery.model.step(None, 1, wanted=lambda item: item.unreviewed)
        if following is not None:
            session.show_image(following)
        else:
            self._bench.say("Every image is decided.", "Ctrl+E exports them", "ok")

    def reopen(self) -> None:
        """Take the decision about this image back."""
        session = self._bench.session
        if session.current is not None and session.current.record.status in ("reviewed", "skipped"):
            session.set_status(session.status_without_decision())
