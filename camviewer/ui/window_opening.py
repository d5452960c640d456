"""Opening, exporting, and deciding about one image after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Slot
from PySide6.QtWidgets import (
    QApplication,
    QLineEdit,
    QPlainTextEdit,
)

from camviewer.project.records import ImageRecord
from camviewer.ui.demo import find_demo
from camviewer.ui.gallery.model import GalleryItem
from camviewer.ui.session import WEIGHT_ENDINGS
from camviewer.ui.settings import RecentProject
from camviewer.ui.window_answers import AnsweringWindow
from camviewer.workers.jobs import LoadRequest


class OpeningWindow(AnsweringWindow):
    """What a person opens, and which image is next."""

    def open_paths(self, paths: list[Path]) -> None:
        """Open what was dropped or named on the command line: checkpoints load, the rest becomes the project."""
        weights = [path for path in paths if path.suffix.lower() in WEIGHT_ENDINGS]
        others = [path for path in paths if path not in weights]
        if others:
            self.session.open_paths(others)
        if weights:
            self.computing.load_model(LoadRequest(weights=weights[0]))

    def open_demo(self) -> None:
        """Open the bundled model and its synthetic images."""
        demo = find_demo()
        if demo is None:
            self._say("The demo is not installed.", "Open a folder of images instead", "warn")
            return
        self.demo = demo
        self.session.open_at(demo.project, root=demo.images, synthetic=True)
        if self.session.project is not None:
            self.computing.load_model(demo.request)

    def choose_folder(self) -> None:
        """Ask for a folder and open it."""
        folder = self.dialogs.folder("Open folder", self.settings.value.last_folder)
        if folder is not None:
            self.settings.value.last_folder = str(folder)
            self.session.open_folder(folder)

    def choose_images(self) -> None:
        """Ask for image files and open them."""
        files = self.dialogs.images("Open images", self.settings.value.last_folder)
        if files:
            self.settings.value.last_folder = str(files[0].parent)
            self.session.open_images(files)

    def choose_project(self) -> None:
        """Ask for a project file and open it."""
        path = self.dialogs.project("Open project", self.settings.value.last_folder)
        if path is not None:
            self.session.open_project(path)

    def choose_model(self) -> None:
        """Ask for a checkpoint or a known network and load it."""
        request = self.dialogs.model(self.settings)
        if request is not None:
            self.computing.load_model(request)

    def choose_export(self) -> None:
        """Ask for format and folder, and export in the background."""
        if self.session.project is not None:
            request = self.dialogs.export(self.session, self.settings)
            if request is not None:
                self.computing.export(request)

    def locate_images(self) -> None:
        """List the missing images, and find them in a folder."""
        project = self.session.project
        if project is None:
            return
        if not self.relinking.missing:
            self._say("No image is missing.", "All files are where they were", "ok")
            return
        from camviewer.ui.dialogs.locate import LocateDialog

        dialog = LocateDialog(self.relinking, start=project.root, parent=self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(object)
    def _on_missing(self, missing: list[ImageRecord]) -> None:
        if missing:
            count = len(missing)
            words = "1 image is not where it was." if count == 1 else f"{count:,} images are not where they were."
            self._say(words, "File, Locate images finds them", "warn")

    def _open_recent(self, project: RecentProject) -> None:
        demo = find_demo()
        if demo is not None and Path(project.path) == demo.project:
            self.open_demo()
        else:
            self.session.open_project(Path(project.path))

    def _locate_recent(self, project: RecentProject) -> None:
        path = self.dialogs.project(f"Locate {project.name}", str(Path(project.path).parent))
        if path is not None:
            self.settings.change(lambda value: _forget(value.recent, project))
            self.session.open_project(path)

    @Slot()
    def _fill_recent_menu(self) -> None:
        self._recent_menu.clear()
        for project in self.settings.value.recent:
            action = self._recent_menu.addAction(project.name)
            action.setToolTip(project.path)
            action.triggered.connect(lambda _checked=False, project=project: self._open_recent(project))
        self._recent_menu.setEnabled(True)
        if self._recent_menu.isEmpty():
            self._recent_menu.addAction("None yet").setEnabled(False)

    def step(self, direction: int, *, unreviewed: bool = False) -> bool:
        """Go to the next or previous image of the gallery; return whether there was one."""
        wanted: Callable[[GalleryItem], bool] = (lambda item: item.unreviewed) if unreviewed else (lambda _item: True)
        image_id = self.gallery.neighbour(direction, wanted=wanted)
        if image_id is None:
            word = "unreviewed image" if unreviewed else "image"
            self._say(f"No further {word} in this direction.", "", "info")
            return False
        self.session.show_image(image_id)
        return True

    @Slot()
    def mark_reviewed(self) -> None:
        """Mark the image reviewed and go to the next unreviewed; Enter in a text field only leaves the field."""
        focus = QApplication.focusWidget()
        if isinstance(focus, QLineEdit | QPlainTextEdit):
            self.canvas.setFocus()
            return
        self._decide("reviewed")

    @Slot()
    def skip(self) -> None:
        """Leave the image out and go on."""
        self._decide("skipped")

    def _decide(self, status: str) -> None:
        current = self.session.current
        if current is None:
            return
        self.session.set_status("reviewed" if status == "reviewed" else "skipped")
        following = self.gallery.neighbour(1, wanted=lambda item: item.unreviewed)
        if following is None:
            following = self.gallery.model.step(None, 1, wanted=lambda item: item.unreviewed)
        if following is not None:
            self.session.show_image(following)
        else:
            self._say("Every image is decided.", "Ctrl+E exports them", "ok")

    def reopen(self) -> None:
        """Take the decision about this image back."""
        current = self.session.current
        if current is not None and current.record.status in ("reviewed", "skipped"):
            self.session.set_status(self.session.status_without_decision())


def _forget(recent: list[RecentProject], project: RecentProject) -> None:
    recent[:] = [entry for entry in recent if entry.path != project.path]
