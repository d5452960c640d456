"""The window: it makes the bench, lays it out, gives it its features, and answers to keys, drops and closing."""

from __future__ import annotations

import logging
import os

from PySide6.QtCore import QByteArray, QEvent, Qt, QTimer, Signal, Slot
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QMainWindow

from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.drop import DropOverlay, dropped_paths
from camviewer.ui.features.annotating import Annotating
from camviewer.ui.features.artefacts import ShowingArtefacts
from camviewer.ui.features.blinding import Blinding
from camviewer.ui.features.calibrating import Calibrating
from camviewer.ui.features.checking import Checking
from camviewer.ui.features.checkpoints import Checkpoints
from camviewer.ui.features.comparing import Comparing
from camviewer.ui.features.dicom_tags import DicomTags
from camviewer.ui.features.enabling import Enabling
from camviewer.ui.features.exporting import Exporting
from camviewer.ui.features.guiding import Guiding
from camviewer.ui.features.helping import Helping
from camviewer.ui.features.importing import Importing
from camviewer.ui.features.labelling import Labelling
from camviewer.ui.features.learning import Learning
from camviewer.ui.features.lesions import Lesions
from camviewer.ui.features.mapping import Mapping
from camviewer.ui.features.opening import Opening
from camviewer.ui.features.reporting import Reporting
from camviewer.ui.features.reviewing import Reviewing
from camviewer.ui.features.settling import Settling
from camviewer.ui.features.showing import Showing
from camviewer.ui.features.staleness import Staleness
from camviewer.ui.features.teaching import Teaching
from camviewer.ui.features.thresholding import Thresholding
from camviewer.ui.features.training import Training
from camviewer.ui.features.viewing import Viewing
from camviewer.ui.layout import Layout
from camviewer.ui.settings import SettingsStore, decode_bytes, encode_bytes
from camviewer.ui.theme import theme
from camviewer.workers.engine import Engine

log = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """The main window.

    Signals:
        painted_first: the first paint is done; whatever is slow may start now.
        closed: the window is closed, its threads have ended.
    """

    painted_first = Signal()
    closed = Signal()

    def __init__(
        self, settings: SettingsStore, *, engine: Engine | None = None, dialogs: FileDialogs | None = None
    ) -> None:
        super().__init__()
        theme()
        self._painted = False
        self._started = False
        self._closed = False
        self.setWindowTitle("camviewer")
        self.setAcceptDrops(True)
        self.setMinimumSize(1024, 640)
        self.resize(1440, 900)
        self.bench = bench = Bench(self, settings, engine=engine, dialogs=dialogs)
        self.places = Layout(bench)
        self.setCentralWidget(self.places)
        self._drop = DropOverlay(self)
        # A signal reaches the features in this order; none may rely on it.
        self.opening = Opening(bench)
        self.showing = Showing(bench, self.places)
        self.artefacts = ShowingArtefacts(bench)
        self.mapping = Mapping(bench)
        self.annotating = Annotating(bench)
        self.reviewing = Reviewing(bench)
        self.comparing = Comparing(bench)
        self.labelling = Labelling(bench)
        self.lesions = Lesions(bench)
        self.staleness = Staleness(bench)
        self.blinding = Blinding(bench)
        self.checkpoints = Checkpoints(bench)
        self.training = Training(bench)
        self.learning = Learning(bench)
        self.training.compare_wanted.connect(self.checkpoints.choose_training)
        self.teaching = Teaching(bench)
        self.thresholding = Thresholding(bench)
        self.guiding = Guiding(bench)
        self.calibrating = Calibrating(bench)
        self.exporting = Exporting(bench)
        self.importing = Importing(bench)
        self.dicom_tags = DicomTags(bench)
        self.helping = Helping(bench)
        self.checking = Checking(bench, self.places)
        self.settling = Settling(bench)
        self.viewing = Viewing(bench, self.places)
        self.reporting = Reporting(bench)
        self.enabling = Enabling(bench)
        bench.actions.connect("quit", self.close)
        if settings.value.geometry:
            self.restoreGeometry(QByteArray(decode_bytes(settings.value.geometry)))

    # --- first paint ----------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # A window that starts minimised is not painted; the engine starts all the same.
        QTimer.singleShot(2000, self, self._after_first_paint)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            log.info("painted first")  # benchmarks/gui.py waits for this line
            QTimer.singleShot(0, self, self._after_first_paint)

    @Slot()
    def _after_first_paint(self) -> None:
        if self._started:
            return
        self._started = self._painted = True
        self.painted_first.emit()
        if not self._closed:
            self.bench.jobs.start()
            if not self.places.shows_workbench():
                self.bench.welcome.focus_start()

    # --- keys, drops, closing -------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_H and not event.isAutoRepeat() and self.bench.session.current is not None:
            self.bench.canvas.set_overlays_hidden(True)
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self.bench.canvas.set_overlays_hidden(False)
            return
        super().keyReleaseEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and not self.isActiveWindow():
            # The release of a held key goes to another window.
            self.bench.canvas.set_overlays_hidden(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._drop.setGeometry(self.rect())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        paths = dropped_paths(event.mimeData())
        if paths:
            self._drop.show_for(paths)
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QEvent) -> None:
        self._drop.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop.hide()
        paths = dropped_paths(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.opening.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Cancel, join, never hang: what does not end in time is left behind by leaving the process."""
        if not self._closed:
            self._closed = True
            bench = self.bench
            bench.closing.emit()
            bench.settings.value.geometry = encode_bytes(bytes(self.saveGeometry().data()))
            bench.settings.save()
            self.hide()  # importing torch cannot be interrupted, and nobody should have to watch the wait
            ended = [
                bench.engine.close(),
                bench.gallery.pictures.close(),
                bench.relinking.close(),
                bench.session.close(),
            ]
            if not all(ended):
                log.warning("threads did not end in time; leaving the process")
                logging.shutdown()
                os._exit(0)
        event.accept()
        self.closed.emit()
