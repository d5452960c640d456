"""The comparison as a page: which methods and classes, one note on the scale, the grid; and who computes it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from camviewer.catalogue.methods import BY_NAME, METHODS
from camviewer.project.records import ActivationMap
from camviewer.ui.compare.grid import Column, CompareGrid, Row
from camviewer.ui.computing import Computing
from camviewer.ui.controls import Button, ElidedLabel, IconButton, name_control, surface
from camviewer.ui.session import Session, ShownImage
from camviewer.ui.theme import theme
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import (
    ClassScore,
    ComputeMaps,
    JobCancelled,
    JobFailed,
    JobFinished,
    LoadModel,
    MapRequest,
    MapsReady,
    PartialMap,
)

DEFAULT = ("cam", "gradcam", "gradcampp", "layercam")
MOST_ROWS, MOST_COLUMNS = 5, 5
NOTE = "Each map is scaled to its own maximum"


class ComparePage(QWidget):
    """Methods by the classes of the highest scores, for the image on the canvas.

    Signals:
        opened: (method, class index) that is to be shown alone.
    """

    opened = Signal(str, int)

    def __init__(self, session: Session, computing: Computing, engine: Engine) -> None:
        super().__init__()
        self._session, self._computing, self._engine = session, computing, engine
        self._scores: tuple[ClassScore, ...] = ()
        self._methods: tuple[str, ...] = DEFAULT
        self._active = False
        self._token: int | None = None
        self.grid = CompareGrid()
        self.grid.cell_opened.connect(self.opened)
        self._build()
        session.image_shown.connect(self._on_image)
        computing.scores_ready.connect(self._on_scores)
        computing.model_changed.connect(self._on_model)
        computing.choice_changed.connect(self._refresh)
        engine.maps_ready.connect(self._on_maps)
        engine.partial_ready.connect(self._on_partial)
        engine.failed.connect(self._on_failed)
        engine.finished.connect(self._on_end)
        engine.cancelled.connect(self._on_end)

    def _build(self) -> None:
        bar = surface(QWidget(), "panel")
        bar.setFixedHeight(theme().px(40))
        row = QHBoxLayout(bar)
        row.setContentsMargins(12, 0, 12, 0)
        row.setSpacing(8)
        self._rows = Button("Methods", "plain", tip="Choose the methods that are compared")
        self._menu = QMenu("Methods", self)
        self._menu.setToolTipsVisible(True)
        self._choices: dict[str, QAction] = {}
        for spec in METHODS:
            action = self._menu.addAction(spec.title)
            action.setCheckable(True)
            action.setToolTip(spec.shows)
            action.setData(spec.name)
            action.toggled.connect(self._on_method)
            self._choices[spec.name] = action
        self._rows.setMenu(self._menu)
        self._columns = QComboBox()
        name_control(self._columns, "Classes", tip="How many classes are compared, the most likely first")
        for count in range(1, MOST_COLUMNS + 1):
            self._columns.addItem("Predicted class" if count == 1 else f"Top {count} classes", count)
        self._columns.setCurrentIndex(3)
        self._columns.currentIndexChanged.connect(self._refresh)
        self._note = ElidedLabel(NOTE, "caption", "text-2", mode=Qt.TextElideMode.ElideRight)
        fit = IconButton("fit", "Fit the image", key="F")
        fit.clicked.connect(self.grid.fit)
        self.leave = Button("Compare", "flat", icon_name="grid", key="G", tip="Back to one image")
        self.leave.setCheckable(True)
        self.leave.setChecked(True)
        for part in (self._rows, self._columns):
            row.addWidget(part)
        row.addWidget(self._note, 1)
        row.addWidget(fit)
        row.addWidget(self.leave)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(self.grid, 1)
        self.setFocusProxy(self.grid)
        self._tick()

    def set_active(self, active: bool) -> None:
        """Compute and show, or rest."""
        self._active = active
        if active:
            current = self._session.current
            self.grid.set_image(current.pixels if current is not None else None)
            self._refresh()
        elif self._token is not None:
            self._engine.cancel(self._token)

    def fit(self) -> None:
        """Show the whole image in every cell."""
        self.grid.fit()

    def methods(self) -> tuple[str, ...]:
        """Return the methods that are compared."""
        refused = self._computing.unavailable()
        return tuple(name for name in self._methods if name not in refused)

    def set_methods(self, names: Sequence[str]) -> None:
        """Choose methods, at most `MOST_ROWS`."""
        self._methods = tuple(spec.name for spec in METHODS if spec.name in names)[:MOST_ROWS]
        self._tick()
        self._refresh()

    def _tick(self) -> None:
        refused = self._computing.unavailable()
        full = len(self.methods()) >= MOST_ROWS
        for name, action in self._choices.items():
            action.blockSignals(True)
            action.setChecked(name in self._methods and name not in refused)
            action.setEnabled(name not in refused and (action.isChecked() or not full))
            action.setToolTip(refused.get(name, BY_NAME[name].shows))
            action.blockSignals(False)
        self._rows.set_text(f"{len(self.methods())} methods" if len(self.methods()) != 1 else "1 method")

    @Slot(bool)
    def _on_method(self, _checked: bool) -> None:
        self.set_methods([name for name, action in self._choices.items() if action.isChecked()])

    @Slot(object)
    def _on_image(self, shown: ShownImage | None) -> None:
        if self._active:
            self._scores = ()
            self.grid.set_image(shown.pixels if shown is not None else None)
            self._refresh()

    @Slot(object)
    def _on_scores(self, scores: Sequence[ClassScore]) -> None:
        self._scores = tuple(scores)
        self._refresh()

    @Slot(object)
    def _on_model(self, _summary: object) -> None:
        self._tick()
        if self._active:
            current = self._session.current
            self.grid.set_image(current.pixels if current is not None else None)
            self._refresh()

    @Slot()
    def _refresh(self) -> None:
        """Show the rows and columns as they are chosen, and ask for what is missing."""
        if not self._active:
            return
        count = int(self._columns.currentData())
        columns = []
        for rank, score in enumerate(self._scores[:count], 1):
            name, colour = self._session.class_of(self._session.class_id_of(score.index))
            columns.append(Column(score.index, rank, name or score.name, colour or "#FFFFFF", score.probability))
        rows = [Row(name, BY_NAME[name].title) for name in self.methods()]
        self.grid.set_grid(rows, columns, used=self._computing.choice.method)
        self.grid.set_rule(self._computing.rule)
        self._ask()

    def _ask(self) -> None:
        current = self._session.current
        if not self._active or self._token is not None or current is None:
            return
        if any(isinstance(job, ComputeMaps | LoadModel) for job in self._engine.open_jobs()):
            return
        if current.pixels is None or self._computing.summary is None:
            return
        methods, classes = self.grid.missing()
        if not methods or not classes:
            return
        # One method after the other, so that the quick ones are there at once.
        choice = self._computing.choice
        name = methods[0]
        parameters = {name: dict(choice.parameters)} if name == choice.method else {}
        request = MapRequest((name,), classes, self._computing.layers, parameters, offset=choice.offset)
        if len(self._computing.layers) > 1:
            request = MapRequest(
                (name,), classes, self._computing.layers, parameters, offset=choice.offset, fuse="mean"
            )
        job = ComputeMaps(current.path, request)
        self._token = job.token
        try:
            self._engine.submit(job)
        except RuntimeError:
            self._token = None  # the engine is closed

    @Slot(object)
    def _on_maps(self, ready: MapsReady) -> None:
        if ready.token != self._token:
            return
        for found in ready.explanation.maps:
            self.grid.set_map(found)
        have = {found.class_index for found in ready.explanation.maps}
        for index in ready.request.classes:
            if isinstance(index, int) and index not in have:
                self.grid.set_note(ready.request.methods[0], index, "The method gives none for this class.")

    @Slot(object)
    def _on_partial(self, partial: PartialMap) -> None:
        if partial.token == self._token:
            self._show_partial(partial.map)

    def _show_partial(self, found: ActivationMap) -> None:
        words = ", ".join(found.flags)
        self.grid.set_map(found, note=words[:1].upper() + words[1:])

    @Slot(object)
    def _on_failed(self, end: JobFailed) -> None:
        if end.token == self._token and isinstance(end.job, ComputeMaps):
            for index in end.job.request.classes:
                if isinstance(index, int):
                    self.grid.set_note(end.job.request.methods[0], index, end.message)
        self._on_end(end)

    @Slot(object)
    def _on_end(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        """Go on with what is missing, once no other map is computed."""
        if end.token == self._token:
            self._token = None
        self._ask()
