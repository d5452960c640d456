"""What the features of the window share: the rooms behind it, and its parts. It has no behaviour of its own."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMenu, QWidget

from camviewer.ui.actions import Actions
from camviewer.ui.batch import Batch
from camviewer.ui.canvas.panel import CanvasPanel
from camviewer.ui.computing import Computing
from camviewer.ui.controls import IconButton
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.gallery.view import Gallery
from camviewer.ui.header import Header
from camviewer.ui.job_board import JobBoard
from camviewer.ui.long_job import LongJob
from camviewer.ui.panels.agreement import AgreementPanel
from camviewer.ui.panels.classes import ClassesPanel
from camviewer.ui.panels.few_labels import FewLabelsPanel
from camviewer.ui.panels.image import ImagePanel
from camviewer.ui.panels.method import MethodPanel
from camviewer.ui.panels.model import ModelPanel
from camviewer.ui.panels.regions import RegionsPanel
from camviewer.ui.panels.threshold import ThresholdPanel
from camviewer.ui.panels.units import UnitsPanel
from camviewer.ui.relinking import Relinking
from camviewer.ui.session import Session
from camviewer.ui.settings import SettingsStore
from camviewer.ui.stage import Stage
from camviewer.ui.status_bar import StatusBar, Tone
from camviewer.ui.welcome import WelcomePage
from camviewer.workers.engine import Engine

_BUTTONS = (("previous", "chevron-left"), ("next", "chevron-right"), ("undo", "undo"), ("redo", "redo"))


class Bench(QObject):
    """Made once by the window, then handed to every feature.

    Signals:
        closing: the window closes; what is to be remembered is written now. Threads end afterwards.
    """

    closing = Signal()

    def __init__(
        self, window: QWidget, settings: SettingsStore, *, engine: Engine | None, dialogs: FileDialogs | None
    ) -> None:
        super().__init__(window)
        self.window = window
        self.settings = settings
        self.dialogs = dialogs or FileDialogs(window)
        self.actions = Actions(window)
        self.session = Session(self)
        self.relinking = Relinking(self.session, self)
        self.engine = engine or Engine(self)
        self.jobs = JobBoard(self.engine, self)
        self.computing = Computing(self.session, self.engine, self.jobs, self)
        self.batch = Batch(self.session, self.computing, self.jobs, self.engine, self)

        buttons = {name: IconButton.for_action(self.actions[name], icon) for name, icon in _BUTTONS}
        self.header = Header(
            previous=buttons["previous"],
            following=buttons["next"],
            undo=buttons["undo"],
            redo=buttons["redo"],
            reviewed_key="Enter",
        )
        self.recent_menu = QMenu("Recent projects", window)
        self.class_menu = QMenu("Class of the region", window)
        self.actions.fill(self.header.menu, recent=self.recent_menu, classes=self.class_menu)
        self.model_panel = ModelPanel()
        self.units = UnitsPanel()
        self.model_panel.add_below(self.units)
        self.canvas = CanvasPanel()
        self.stage = Stage(self.canvas)
        self.few_labels = FewLabelsPanel()
        self.agreement = AgreementPanel()
        self.classes = ClassesPanel()
        self.method = MethodPanel()
        self.threshold = ThresholdPanel()
        self.regions = RegionsPanel()
        self.image = ImagePanel()
        self.gallery = Gallery()
        self.status = StatusBar()
        self.welcome = WelcomePage()

    def long_job(self, feature: QObject) -> LongJob:
        """Return a slot for the one long job that `feature` may run."""
        return LongJob(self.engine, self.jobs, feature)

    def say(self, text: str, detail: str = "", tone: Tone = "info") -> None:
        """Put a message into the status bar; `detail` is its way back, or what it means."""
        self.status.show_message(text, detail, tone=tone)
