"""The strip of thumbnails."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QListView

from camviewer.ui.canvas.annotate import paint_words
from camviewer.ui.controls import name_control
from camviewer.ui.gallery.delegate import CELL_HEIGHT, GalleryDelegate
from camviewer.ui.gallery.model import GalleryModel
from camviewer.ui.gallery.pictures import THUMB, PictureCache
from camviewer.ui.painting import painting


class ThumbnailStrip(QListView):
    """One row of thumbnails, spread so that a whole number fits.

    Signals:
        context_wanted: global position of a click with the right button, or of the menu key.
    """

    context_wanted = Signal(QPoint)

    def __init__(self, model: GalleryModel, pictures: PictureCache) -> None:
        super().__init__()
        self._model = model
        self._pictures = pictures
        self._cells = GalleryDelegate(self)
        self._goal: int | None = None
        self.setModel(model)
        self.setItemDelegate(self._cells)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setBatchSize(200)
        self.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setSpacing(0)
        self.setFixedHeight(CELL_HEIGHT + 12)
        name_control(self, "Images", tip="Images of the project", key="D, A")
        self.setToolTip("")
        self._ask = QTimer(self)
        self._ask.setSingleShot(True)
        self._ask.setInterval(0)
        self._ask.timeout.connect(self._request_visible)
        self._retry = QTimer(self)
        self._retry.setSingleShot(True)
        self._retry.setInterval(20)
        self._retry.timeout.connect(self._reach_goal)
        self.horizontalScrollBar().valueChanged.connect(self._schedule)
        model.pictures_wanted.connect(self._schedule)
        model.modelReset.connect(self._schedule)
        self._spread()

    def show_row(self, row: int) -> None:
        """Scroll until a row is visible; waits for the batched layout to get there."""
        self._goal = row
        self._reach_goal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Letters belong to the window's actions, not to the list's search for names.
        if event.text().strip() and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.context_wanted.emit(event.globalPos())
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        # One row scrolls sideways, whichever way the wheel turns.
        delta = event.pixelDelta() if not event.pixelDelta().isNull() else event.angleDelta()
        step = delta.x() if abs(delta.x()) > abs(delta.y()) else delta.y()
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - step)
        event.accept()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._spread()
        super().resizeEvent(event)
        self._schedule()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._model.total() and not self._model.rowCount():
            with painting(self.viewport(), "the empty gallery") as painter:
                middle = QPointF(self.viewport().rect().center())
                words = "Clear the search, or choose All"
                paint_words(painter, middle, "No image fits", words, on_image=False, width=320)

    def _spread(self) -> None:
        width = max(1, self.viewport().width())
        count = max(1, width // (THUMB.width() + 8))
        self._cells.cell_width = width // count
        self.setGridSize(QSize(self._cells.cell_width, CELL_HEIGHT))

    @Slot()
    def _schedule(self) -> None:
        if not self._ask.isActive():
            self._ask.start()

    @Slot()
    def _request_visible(self) -> None:
        cell = max(1, self._cells.cell_width)
        first = self.horizontalScrollBar().value() // cell
        count = self.viewport().width() // cell + 2
        visible = range(first, first + count)
        ahead = range(first + count, first + 2 * count)
        behind = range(first - 1, first - count, -1)
        rows = [*visible, *ahead, *behind]
        paths = [item.path for row in rows if (item := self._model.item_at(row)) is not None]
        self._pictures.request(paths, density=self.devicePixelRatioF())

    @Slot()
    def _reach_goal(self) -> None:
        if self._goal is None or self._goal >= self._model.rowCount():
            self._goal = None
            return
        index = self._model.index(self._goal)
        bar = self.horizontalScrollBar()
        if self.visualRect(index).isEmpty() or bar.maximum() < self._goal * self._cells.cell_width - self.width():
            self._retry.start()
            return
        self.scrollTo(index, QListView.ScrollHint.EnsureVisible)
        self._goal = None
