"""Teaching new classes: labels become a fit, the fit becomes the open model, and the gallery knows what it doubts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QMouseEvent

from camviewer.errors import CamviewerError
from camviewer.project.facts import Fact, set_many
from camviewer.ui.bench import Bench
from camviewer.ui.panels.few_labels import FewLabelsPanel
from camviewer.workers.few_labels import (
    BACKGROUND,
    FITTING,
    READING,
    SAVING,
    MarkRow,
    Teachable,
    fit_work,
    read_work,
    save_work,
)
from camviewer.workers.jobs import JobFailed, JobFinished, LoadModel, LoadRequest, ModelLoaded, WorkDone

if TYPE_CHECKING:
    from camviewer.workers.few_labels import FewLabelsResult

META = "few_labels"
"""Where a project keeps the labels."""
MARGIN, GUESS = "margin", "guess"
"""Facts of an image: how far the best class is ahead, and its name."""
DELAY_MS = 200
"""Wait before fitting, so that labels in quick succession are one fit."""


class Teaching(QObject):
    """Keeps the labels of a project and the network that learns them."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._request: LoadRequest | None = None
        self._taught: Teachable | None = None
        self._reading = self._fitting = False
        self._again = False
        self._result: FewLabelsResult | None = None
        self._classes: list[str] = []
        self._marks: list[MarkRow] = []
        self._point_class = ""
        self.panel: FewLabelsPanel = bench.few_labels
        self.panel.hide()
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(DELAY_MS)
        self._wait.timeout.connect(self._fit)
        bench.actions.connect("new_classes", self.toggle)
        bench.session.project_opened.connect(self._on_project)
        bench.session.scan_ended.connect(self._on_scanned)
        bench.session.image_shown.connect(self._show)
        bench.engine.model_loaded.connect(self._on_model)
        bench.engine.work_done.connect(self._on_done)
        bench.engine.failed.connect(self._on_failed)
        bench.engine.cancelled.connect(self._on_failed)
        bench.engine.finished.connect(self._on_finished)
        bench.canvas.view.viewport().installEventFilter(self)
        panel = self.panel
        panel.class_added.connect(self._add_class)
        panel.class_pressed.connect(self._press)
        panel.points_wanted.connect(self._on_points)
        panel.border_changed.connect(self._changed)
        panel.next_wanted.connect(self.show_least_sure)
        panel.save_wanted.connect(self.save)
        panel.closed.connect(self.toggle)

    @Slot()
    def toggle(self) -> None:
        """Show the panel and read the gallery, or put the panel away."""
        shown = self.panel.isHidden()
        self.panel.setVisible(shown)
        self._bench.actions["new_classes"].setChecked(shown)
        if shown:
            self.panel.focus_name()
            self._read()
            self._show()

    def _read(self) -> None:
        project = self._bench.session.project
        if self.panel.isHidden() or self._reading or self._taught is not None or project is None:
            return
        if self._request is None:
            self.panel.show_state("Open a model first: its features are what new classes are made of.")
            return
        paths = [project.file_of(record) for record in self._bench.session.records() if record.size != (0, 0)]
        if not paths:
            return
        self._reading = True
        self.panel.show_state("Reading the features of the images. Labels may be given meanwhile.")
        self._bench.computing.submit(read_work(self._request, paths))

    # --- labels ---------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, _project: object) -> None:
        self._taught, self._result = None, None
        self._classes, self._marks, self._point_class = [], [], ""
        project = self._bench.session.project
        if project is not None:
            self._load(project.meta(META), project.root)
        self._show()
        self._read()

    @Slot()
    def _on_scanned(self) -> None:
        """Read what the folder has more; what is known already comes from the cache."""
        taught = self._taught
        readable = sum(record.size != (0, 0) for record in self._bench.session.records())
        if taught is None or readable != taught.pictures + len(taught.failed):
            self._taught = None
            self._read()

    def _load(self, text: str | None, root: Path) -> None:
        """Take the labels that a project holds; what makes no sense in them counts as absent."""
        try:
            kept: Any = json.loads(text) if text else {}
            self._classes = [str(name) for name in kept.get("classes", [])]
            for row in kept.get("marks", []):
                point = row.get("point")
                place = (float(point[0]), float(point[1])) if point else None
                self._marks.append(MarkRow(root / str(row["image"]), str(row["class"]), place))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            self._classes, self._marks = [], []

    def _keep(self) -> None:
        project = self._bench.session.project
        if project is None:
            return
        rows = [
            {"image": str(project.relative(mark.path)), "class": mark.name, "point": mark.point} for mark in self._marks
        ]
        try:
            project.set_meta(META, json.dumps({"classes": self._classes, "marks": rows}))
        except CamviewerError as error:
            self._bench.say(error.message, "The labels are not kept", "bad")

    @Slot(str)
    def _add_class(self, name: str) -> None:
        if name.casefold() == BACKGROUND:
            name = BACKGROUND
        elif name not in self._classes:
            self._classes.append(name)
        if self.panel.points():
            self._point_class = name
            self._show()
        elif self._class_of_current() != name:
            self._press(name)

    @Slot(str)
    def _press(self, name: str) -> None:
        """Label the image on the canvas, or take the label back; choose the class of points in their mode."""
        current = self._bench.session.current
        if self.panel.points():
            self._point_class = name
            self._bench.say(f"Press where the image shows {name}.", "Whole image ends it")
            self._show()
            return
        if current is None:
            return
        had = self._class_of_current()
        self._marks = [mark for mark in self._marks if mark.path != current.path or mark.point is not None]
        if had != name:
            self._marks.append(MarkRow(current.path, name))
        self._changed()

    def _class_of_current(self) -> str:
        current = self._bench.session.current
        found = [m.name for m in self._marks if current is not None and m.path == current.path and m.point is None]
        return found[-1] if found else ""

    @Slot(bool)
    def _on_points(self, _points: bool) -> None:
        self._point_class = ""
        self._show()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take presses on the image while points are labelled."""
        if (
            event.type() == QEvent.Type.MouseButtonPress
            and isinstance(event, QMouseEvent)
            and event.button() == Qt.MouseButton.LeftButton
            and not self.panel.isHidden()
            and self.panel.points()
            and self._point_class
        ):
            current = self._bench.session.current
            place = self._bench.canvas.view.to_image(event.position())
            if current is not None and current.pixels is not None:
                height, width = current.pixels.shape[:2]
                if 0 <= place.x() < width and 0 <= place.y() < height:
                    self._marks.append(MarkRow(current.path, self._point_class, (place.x(), place.y())))
                    self._bench.say(f"This point is {self._point_class}.")
                    self._changed()
                    return True
        return super().eventFilter(watched, event)

    @Slot()
    def _changed(self) -> None:
        self._keep()
        self._show()
        self._wait.start()

    @Slot()
    def _show(self) -> None:
        counts = dict.fromkeys(self._classes, 0)
        for mark in self._marks:
            counts[mark.name] = counts.get(mark.name, 0) + 1
        self.panel.show_classes(counts, current=self._point_class if self.panel.points() else self._class_of_current())

    # --- fit ------------------------------------------------------------------------------------------------------

    def _may_fit(self) -> bool:
        names = {mark.name for mark in self._marks}
        objects = names - {BACKGROUND}
        return len(objects) > 1 or (len(objects) == 1 and (BACKGROUND in names or self.panel.border()))

    @Slot()
    def _fit(self) -> None:
        if self._taught is None or not self._marks:
            return
        if not self._may_fit():
            self.panel.show_state("Label images of two classes, or of one and the background.")
            return
        if self._fitting:
            self._again = True
            return
        self._fitting = True
        self._bench.computing.submit(fit_work(self._taught, self._marks, border=self.panel.border()))

    @Slot(object)
    def _on_done(self, done: WorkDone) -> None:
        if done.job.kind is READING and isinstance(done.result, Teachable):
            self._take(done.result)
        elif done.job.kind is FITTING:
            self._use(done.result)  # type: ignore[arg-type]
        elif done.job.kind is SAVING and isinstance(done.result, Path):
            self._bench.say(f"{done.result.name} is written.", "It opens like any other model", "ok")

    def _take(self, taught: Teachable) -> None:
        if taught.request != self._request:
            return
        self._taught = taught
        failed = f" {len(taught.failed):,} cannot be read." if taught.failed else ""
        self.panel.show_state(f"{taught.pictures:,} images are ready.{failed} Name a class and label some of them.")
        self._fit()

    def _use(self, result: FewLabelsResult) -> None:
        """Make the new classes the open model, and let the gallery know what they say."""
        self._result = result
        found = result.classes
        self.panel.show_state(result.messages[0] if result.messages else "")
        hint = "" if found.accuracy is not None else "Two labels a class or more tell how good it is. "
        self.panel.show_result(found.accuracy, f"{hint}Fitted in {1000 * found.seconds:.0f} ms.", fitted=True)
        self._remember(result)
        if self._request is not None:
            self._bench.computing.submit(LoadModel(self._request, found))

    def _remember(self, result: FewLabelsResult) -> None:
        session = self._bench.session
        if session.project is None:
            return
        project = session.project
        marked = {mark.path for mark in self._marks if mark.point is None}
        image_of = {project.file_of(record): record.id for record in session.records()}
        rows: list[tuple[int, str, Fact | None]] = []
        for guess in result.guesses:
            image_id = image_of.get(guess.path)
            if image_id is not None:
                rows.append((image_id, MARGIN, None if guess.path in marked else guess.margin))
                rows.append((image_id, GUESS, guess.name))
        try:
            set_many(project, rows)
        except CamviewerError as error:
            self._bench.say(error.message, "The gallery does not know the new classes", "bad")
            return
        session.refresh_items()

    @Slot(object)
    def _on_finished(self, end: JobFinished) -> None:
        if end.job.kind is READING:
            self._reading = False
        elif end.job.kind is FITTING:
            self._end_fit()

    @Slot(object)
    def _on_failed(self, end: JobFailed) -> None:
        if end.job.kind is READING:
            self._reading = False
            sentence = getattr(end, "message", "Reading was cancelled; what was read is kept.")
            self.panel.show_state(sentence)
        elif end.job.kind is FITTING:
            self.panel.show_state(getattr(end, "message", ""))
            self._end_fit()

    def _end_fit(self) -> None:
        self._fitting = False
        if self._again:
            self._again = False
            self._wait.start()

    @Slot(object)
    def _on_model(self, loaded: ModelLoaded) -> None:
        if loaded.request == self._request:
            if self._result is not None:
                names = self._result.classes.classes
                self._bench.say(f"The model has {len(names)} new classes.", "Save as model keeps it", "ok")
                self._show_class(self._result)
            return
        self._request, self._taught, self._result = loaded.request, None, None
        self.panel.show_result(None, "", fitted=False)
        self._read()

    def _show_class(self, result: FewLabelsResult) -> None:
        """Show the map of what the image was called, or of what the new classes call it."""
        current = self._bench.session.current
        if current is None:
            return
        guess = next((guess.name for guess in result.guesses if guess.path == current.path), "")
        name = self._class_of_current() or guess
        if name in result.classes.classes and name != BACKGROUND:
            self._bench.computing.choose_class(result.classes.classes.index(name))

    # --- what follows ---------------------------------------------------------------------------------------------

    @Slot()
    def show_least_sure(self) -> None:
        """Show the image without a label whose classes are closest."""
        session = self._bench.session
        if self._result is None or session.project is None:
            return
        image_of = {session.project.file_of(record): record.id for record in session.records()}
        marked = [mark.path for mark in self._marks if mark.point is None]
        current = session.current.path if session.current is not None else None
        for guess in self._result.least_sure(without=marked):
            image_id = image_of.get(guess.path)
            if image_id is not None and guess.path != current:
                session.show_image(image_id)
                return
        self._bench.say("Every image has a label.")

    @Slot()
    def save(self) -> None:
        """Ask for a file and write the network with its new classes."""
        if self._taught is None or self._result is None or self._bench.session.project is None:
            return
        start = self._bench.session.project.path.with_name("new_classes.safetensors")
        path = self._bench.dialogs.new_file("Save as model", str(start), "Checkpoints (*.safetensors)")
        if path is not None:
            if path.suffix.lower() != ".safetensors":
                path = path.with_name(path.name + ".safetensors")
            self._bench.computing.submit(save_work(self._taught, path, self._result.classes))
