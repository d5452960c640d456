"""The comparison as a page: which methods or layers and which classes, the grid, and who computes it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from camviewer.catalogue.methods import BY_NAME, METHODS
from camviewer.project.records import ActivationMap
from camviewer.ui.choices import SegmentedControl
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
LAYERED = ("gradients", "activations")  # what a method of layers may need: quick, and possible at every layer
FINE = "layercam"  # stands in for a method that knows one layer only; made for early layers


class ComparePage(QWidget):
    """Methods, or layers of one method, by the classes of the highest scores, for the image on the canvas.

    Signals:
        opened: (method, layer, class index) that is to be shown alone; without a layer the chosen ones stay.
    """

    opened = Signal(str, str, int)

    def __init__(self, session: Session, computing: Computing, engine: Engine) -> None:
        super().__init__()
        self._session, self._computing, self._engine = session, computing, engine
        self._scores: tuple[ClassScore, ...] = ()
        self._methods: tuple[str, ...] = DEFAULT
        self._active = False
        self._token: int | None = None
        self._asked = ""  # key of the row that is computed
        self._basis: object = None  # what the maps in the grid were asked with
        self.grid = CompareGrid()
        self.grid.cell_opened.connect(self._on_opened)
        self._build()
        session.image_shown.connect(self._on_image)
        computing.scores_ready.connect(self._on_scores)
        computing.model_changed.connect(self._on_model)
        computing.choices_changed.connect(self._refresh)
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
        self.kind = SegmentedControl(
            [("methods", "Methods"), ("layers", "Layers")],
            "Rows of the comparison",
            tips=["A row for each method, at the chosen layer", "A row for each ticked layer, by one method"],
        )
        self.kind.chosen.connect(self._refresh)
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
        for part in (self.kind, self._rows, self._columns):
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

    def layers(self) -> tuple[str, ...]:
        """Return the layers that are compared: the ticked ones; with fewer than two the last of each map size."""
        ticked, summary = self._computing.layers, self._computing.summary
        if len(ticked) > 1 or summary is None:
            return ticked[-MOST_ROWS:]
        last: dict[tuple[int, ...], tuple[int, str]] = {}
        for layer in summary.layers:
            size = layer.output_shape[-2:]
            # A block's output is that of its last module too; the block's name says more.
            if layer.fit != "unusable" and layer.depth <= last.get(size, (layer.depth, ""))[0]:
                last[size] = layer.depth, layer.name
        places = {layer.name: place for place, layer in enumerate(summary.layers)}
        wanted = {*(name for _, name in last.values()), *(ticked or (summary.suggested,))}
        return tuple(sorted(wanted, key=lambda name: places.get(name, len(places))))[-MOST_ROWS:]

    def layer_method(self) -> str:
        """Return the method that layers are compared by: the chosen one where it can be made at any layer."""
        chosen = self._computing.choice.method
        return chosen if BY_NAME[chosen].needs in LAYERED else FINE

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

    @Slot(str, int)
    def _on_opened(self, key: str, class_index: int) -> None:
        if self.kind.value() == "layers":
            self.opened.emit(self.layer_method(), key, class_index)
        else:
            self.opened.emit(key, "", class_index)

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
        layered = self.kind.value() == "layers"
        self._rows.setVisible(not layered)
        self._forget_old(layered)
        if layered:
            method = self.layer_method()
            rows = [Row(name, name, BY_NAME[method].title) for name in self.layers()]
            used = self._computing.layer_name() if method == self._computing.choice.method else ""
        else:
            rows = [Row(name, BY_NAME[name].title) for name in self.methods()]
            used = self._computing.choice.method
        self.grid.set_grid(rows, columns, used=used)
        self.grid.set_rule(self._computing.rule)
        self._ask()

    def _forget_old(self, layered: bool) -> None:
        """Empty the grid when the maps in it were made with other choices."""
        choice = self._computing.choice
        method = (self.layer_method(), choice.parameters if choice.method == self.layer_method() else {})
        basis = (layered, choice.offset, method if layered else self._computing.layers)
        if basis == self._basis:
            return
        self._basis = basis
        self.grid.forget_maps()
        if self._token is not None:
            self._engine.cancel(self._token)
            self._token = None  # its maps are not wanted; its end asks for the others

    def _ask(self) -> None:
        current = self._session.current
        if not self._active or self._token is not None or current is None:
            return
        if any(isinstance(job, ComputeMaps | LoadModel) for job in self._engine.open_jobs()):
            return
        if current.pixels is None or self._computing.summary is None:
            return
        keys, classes = self.grid.missing()
        if not keys or not classes:
            return
        # One row after the other, so that the quick ones are there at once.
        choice, self._asked = self._computing.choice, keys[0]
        layered = self.kind.value() == "layers"
        name = self.layer_method() if layered else keys[0]
        layers = (keys[0],) if layered else self._computing.layers
        parameters = {name: dict(choice.parameters)} if name == choice.method else {}
        fuse = "mean" if len(layers) > 1 else "none"
        request = MapRequest((name,), classes, layers, parameters, offset=choice.offset, fuse=fuse)
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
            self.grid.set_map(found, row=self._asked)
        have = {found.class_index for found in ready.explanation.maps}
        for index in ready.request.classes:
            if isinstance(index, int) and index not in have:
                self.grid.set_note(self._asked, index, "The method gives none for this class.")

    @Slot(object)
    def _on_partial(self, partial: PartialMap) -> None:
        if partial.token == self._token:
            self._show_partial(partial.map)

    def _show_partial(self, found: ActivationMap) -> None:
        words = ", ".join(found.flags)
        self.grid.set_map(found, row=self._asked, note=words[:1].upper() + words[1:])

    @Slot(object)
    def _on_failed(self, end: JobFailed) -> None:
        if end.token == self._token and isinstance(end.job, ComputeMaps):
            for index in end.job.request.classes:
                if isinstance(index, int):
                    self.grid.set_note(self._asked, index, end.message)
        self._on_end(end)

    @Slot(object)
    def _on_end(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        """Go on with what is missing, once no other map is computed."""
        if end.token == self._token:
            self._token = None
        self._ask()
