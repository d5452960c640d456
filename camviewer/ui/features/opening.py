"""Opening: folders, images, projects, checkpoints, the demo, recent projects, images that were moved."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Slot

from camviewer.project.records import ImageRecord
from camviewer.project.store import SUFFIX, Project
from camviewer.ui.bench import Bench
from camviewer.ui.demo import Demo, find_demo
from camviewer.ui.dialogs.locate import LocateDialog
from camviewer.ui.session import WEIGHT_ENDINGS
from camviewer.ui.settings import RecentProject
from camviewer.workers.covers import read_covers
from camviewer.workers.jobs import LoadRequest
from camviewer.workers.tasks import TaskDone


class Opening(QObject):
    """What a person opens, and what is remembered of it."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self.demo: Demo | None = None
        on, welcome = bench.actions.connect, bench.welcome
        on("open_folder", self.choose_folder)
        on("open_images", self.choose_images)
        on("open_project", self.choose_project)
        on("locate_images", self.locate_images)
        on("save_as", self.save_as)
        on("open_demo", self.open_demo)
        on("open_model", self.choose_model)
        on("close_project", bench.session.close_project)
        bench.recent_menu.aboutToShow.connect(self._fill_recent_menu)
        welcome.demo_pressed.connect(self.open_demo)
        welcome.images_pressed.connect(self.choose_folder)
        welcome.model_pressed.connect(self.choose_model)
        welcome.project_pressed.connect(self.choose_project)
        welcome.recent_pressed.connect(self._open_recent)
        welcome.locate_pressed.connect(self._locate_recent)
        bench.model_panel.open_requested.connect(self.choose_model)
        bench.session.project_opened.connect(self._on_project)
        bench.session.project_closing.connect(self.remember)
        bench.session.scan_ended.connect(self._on_scanned)
        bench.relinking.missing_changed.connect(self._on_missing)
        bench.closing.connect(self.remember)
        bench.session.tasks.done.connect(self._on_task)
        welcome.set_recent(bench.settings.value.recent)
        QTimer.singleShot(0, self, self._read_covers)

    def open_paths(self, paths: list[Path]) -> None:
        """Open what was dropped or named on the command line: checkpoints load, the rest becomes the project."""
        weights = [path for path in paths if path.suffix.lower() in WEIGHT_ENDINGS]
        others = [path for path in paths if path not in weights]
        if others:
            self._bench.session.open_paths(others)
        if weights:
            self._bench.computing.load_model(LoadRequest(weights=weights[0]))

    @Slot()
    def open_demo(self) -> None:
        """Open the bundled model and its synthetic images."""
        demo, session = find_demo(), self._bench.session
        if demo is None:
            self._bench.say("The demo is not installed.", "Open a folder of images instead", "warn")
            return
        self.demo = demo
        session.open_at(demo.project, root=demo.images, synthetic=True)
        if session.project is not None:
            self._bench.computing.load_model(demo.request)

    @Slot()
    def choose_folder(self) -> None:
        """Ask for a folder and open it."""
        value = self._bench.settings.value
        folder = self._bench.dialogs.folder("Open folder", value.last_folder)
        if folder is not None:
            value.last_folder = str(folder)
            self._bench.session.open_folder(folder)

    def choose_images(self) -> None:
        """Ask for image files and open them."""
        value = self._bench.settings.value
        files = self._bench.dialogs.images("Open images", value.last_folder)
        if files:
            value.last_folder = str(files[0].parent)
            self._bench.session.open_images(files)

    @Slot()
    def choose_project(self) -> None:
        """Ask for a project file and open it."""
        path = self._bench.dialogs.project("Open project", self._bench.settings.value.last_folder)
        if path is not None:
            self._bench.session.open_project(path)

    def save_as(self) -> None:
        """Ask where a copy of the project is to lie, and go on with it."""
        project = self._bench.session.project
        if project is None:
            return
        suggested = str(project.path.with_name(f"{project.path.stem} copy{SUFFIX}"))
        path = self._bench.dialogs.new_file("Save project as", suggested, f"Projects (*{SUFFIX})")
        if path is not None:
            self._bench.session.save_as(path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX))

    @Slot()
    def choose_model(self) -> None:
        """Ask for a checkpoint or a known network and load it."""
        request = self._bench.dialogs.model(self._bench.settings)
        if request is not None:
            self._bench.computing.load_model(request)

    def locate_images(self) -> None:
        """List the missing images, and find them in a folder."""
        bench, project = self._bench, self._bench.session.project
        if project is None:
            return
        if not bench.relinking.missing:
            bench.say("No image is missing.", "All files are where they were", "ok")
            return
        dialog = LocateDialog(bench.relinking, start=project.root, parent=bench.window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(object)
    def _on_missing(self, missing: list[ImageRecord]) -> None:
        if missing:
            count = len(missing)
            words = "1 image is not where it was." if count == 1 else f"{count:,} images are not where they were."
            self._bench.say(words, "File, Locate images finds them", "warn")

    # --- recent projects ------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, project: Project | None) -> None:
        if project is None:
            self._bench.welcome.set_recent(self._bench.settings.value.recent)
            self._read_covers()
        else:
            self.remember()

    def _read_covers(self) -> None:
        """Look for small pictures of the recent projects, where thumbnails are kept."""
        bench, pictures = self._bench, self._bench.gallery.pictures
        projects = [Path(project.path) for project in bench.settings.value.recent]
        side = pictures.side(bench.window.devicePixelRatioF())
        bench.session.tasks.submit("covers", None, lambda _reporter: read_covers(projects, pictures.pool.cache, side))

    @Slot(object)
    def _on_task(self, answer: TaskDone) -> None:
        if answer.key == "covers" and not answer.error:
            self._bench.welcome.set_covers(answer.result)

    @Slot(int)
    def _on_scanned(self, total: int) -> None:
        self.remember()
        session = self._bench.session
        if total and session.project is not None:
            name = "the demo" if session.synthetic else session.project.path.stem
            loaded = self._bench.computing.summary is not None
            self._bench.say(f"{total:,} images in {name}.", "" if loaded else "Open a model to see maps", "info")

    @Slot()
    def remember(self) -> None:
        """Put the open project first among the recent ones, with how far it is."""
        session, model = self._bench.session, self._bench.gallery.model
        if session.project is None:
            return
        path = session.project.path
        name = "Demo, synthetic" if session.synthetic else path.stem
        entry = RecentProject(str(path), name, model.total(), model.counts()["reviewed"], time.time())
        self._bench.settings.change(lambda value: value.remember(entry))

    @Slot(object)
    def _open_recent(self, project: RecentProject) -> None:
        demo = find_demo()
        if demo is not None and Path(project.path) == demo.project:
            self.open_demo()
        else:
            self._bench.session.open_project(Path(project.path))

    @Slot(object)
    def _locate_recent(self, project: RecentProject) -> None:
        path = self._bench.dialogs.project(f"Locate {project.name}", str(Path(project.path).parent))
        if path is not None:
            self._bench.settings.change(lambda value: value.forget(project))
            self._bench.session.open_project(path)

    @Slot()
    def _fill_recent_menu(self) -> None:
        menu = self._bench.recent_menu
        menu.clear()
        for project in self._bench.settings.value.recent:
            action = menu.addAction(project.name)
            action.setToolTip(project.path)
            action.triggered.connect(lambda _checked=False, project=project: self._open_recent(project))
        menu.setEnabled(True)
        if menu.isEmpty():
            menu.addAction("None yet").setEnabled(False)
