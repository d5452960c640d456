"""Learning masks from the window: what there is to learn from, live curves, before and after, and a person's word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QProgressBar,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import Button, label, name_control
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.dialogs.before_after import BeforeAfter
from camviewer.ui.plots import CurvePlot, Series
from camviewer.ui.sections import MessageBar
from camviewer.workers.jobs import Progress
from camviewer.workers.learning import CurvePoint, LearnOutcome, Phase, PointFound

STEPS = {"quick": 300, "normal": 1600, "long": 2800}
"""Steps of a round, by its length; on two cores 100 steps take some 15 to 40 seconds."""


@dataclass(frozen=True, slots=True)
class LearnContext:
    """What the project holds.

    Attributes:
        reviewed, confident, open: images that are reviewed, confident automatic ones, and all that will be drawn.
        rounds: rounds there were.
        can_take_back: whether the last one can be taken back.
    """

    reviewed: int
    confident: int
    open: int
    rounds: int
    can_take_back: bool


class LearnDialog(PanelDialog):
    """Stays open beside the window while it learns; closing it lets the training go on.

    Signals:
        start_wanted: (steps, whether to go on from the last round).
        cancel_wanted: stop; no mask is changed.
        use_wanted: write the new masks into the project.
        take_back_wanted: put the masks before the last round back.
        export_wanted: write the network of the last round to a file.
        image_wanted: key of an image to show on the canvas.
    """

    start_wanted = Signal(int, bool)
    cancel_wanted = Signal()
    use_wanted = Signal()
    take_back_wanted = Signal()
    export_wanted = Signal()
    image_wanted = Signal(int)

    def __init__(self, *, parent: QWidget | None = None) -> None:
        super().__init__("Learn masks", "a small network draws what nobody has reviewed", parent=parent)
        self.setWindowModality(Qt.WindowModality.NonModal)
        self._context = LearnContext(0, 0, 0, 0, False)
        self._points: list[CurvePoint] = []
        self._steps = 1
        self._running = False
        self._outcome: LearnOutcome | None = None
        self._pages = QStackedWidget()
        self._pages.addWidget(self._make_form())
        self._pages.addWidget(self._make_run())
        self.body.addWidget(self._pages, 1)
        self._make_buttons()
        self.resize(820, 640)
        self._tick()

    # --- what to learn from ---------------------------------------------------------------------------------------

    def _make_form(self) -> QWidget:
        words = label(
            "A small network learns from your reviewed masks and from the automatic ones that are least doubtful. Then "
            "it draws all the others anew and says how doubtful each is. Review the most doubtful ones and learn "
            "again. Reviewed masks are never changed.",
            "body",
            "text-2",
        )
        words.setWordWrap(True)
        self._counts = QGridLayout()
        self._counts.setHorizontalSpacing(28)
        self._counts.setVerticalSpacing(2)
        self._figures = {}
        for column, (name, text) in enumerate(
            (
                ("reviewed", "reviewed masks"),
                ("confident", "confident automatic masks"),
                ("open", "masks to be drawn"),
                ("rounds", "rounds so far"),
            )
        ):
            self._figures[name] = label("0", "title")
            self._counts.addWidget(self._figures[name], 0, column)
            self._counts.addWidget(label(text, "body", "text-2"), 1, column)
        self._counts.setColumnStretch(4, 1)
        self._length = SegmentedControl(
            [("quick", "Quick"), ("normal", "Normal"), ("long", "Long")],
            "Length",
            tips=[
                f"{STEPS['quick']:,} steps; enough for a further round",
                f"{STEPS['normal']:,} steps",
                f"{STEPS['long']:,} steps; for the best first round",
            ],
        )
        self._length.set_value("normal")
        self._go_on = QCheckBox("Go on from the network of the last round")
        name_control(self._go_on, "Go on from the last round", tip="Quicker; off starts with random weights")
        self._problem = MessageBar("warn")
        self._problem.hide()
        choices = QGridLayout()
        choices.setHorizontalSpacing(16)
        choices.setVerticalSpacing(10)
        choices.addWidget(label("Length", "body", "text-2"), 0, 0)
        line = QHBoxLayout()
        line.addWidget(self._length)
        line.addStretch(1)
        choices.addLayout(line, 0, 1)
        choices.addWidget(self._go_on, 1, 1)
        choices.setColumnStretch(1, 1)
        page = QWidget()
        column_ = QVBoxLayout(page)
        column_.setContentsMargins(0, 0, 0, 0)
        column_.setSpacing(18)
        column_.addWidget(words)
        column_.addLayout(self._counts)
        column_.addLayout(choices)
        column_.addWidget(self._problem)
        column_.addStretch(1)
        return page

    def set_context(self, context: LearnContext) -> None:
        """Say what the project holds."""
        self._context = context
        for name, figure in self._figures.items():
            figure.setText(f"{getattr(context, name):,}")
        self._go_on.setVisible(context.rounds > 0)
        self._go_on.setChecked(context.rounds > 0)
        if not self._running and self._outcome is None:
            self._length.set_value("quick" if context.rounds else "normal")
            if not context.reviewed + context.confident:
                self._problem.show_message(
                    "warn", "There is nothing to learn from yet.", "Compute all images first, or review some masks."
                )
                self._problem.show()
            else:
                self._problem.hide()
        self._tick()

    # --- the training ---------------------------------------------------------------------------------------------

    def _make_run(self) -> QWidget:
        self._state = label("", "subject")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress of learning")
        self.loss = CurvePlot("Loss", "lower is better", tip="Soft Dice and cross-entropy, mean since the last point")
        self.overlap = CurvePlot(
            "Overlap", "IoU", tip="With confident automatic masks that are kept aside, and with reviewed masks"
        )
        curves = QHBoxLayout()
        curves.setSpacing(14)
        curves.addWidget(self.loss, 1)
        curves.addWidget(self.overlap, 1)
        self.previews = BeforeAfter()
        self.previews.chosen.connect(self.image_wanted)
        self._message = MessageBar("info")
        self._message.hide()
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self._state)
        column.addWidget(self._bar)
        column.addLayout(curves, 2)
        column.addWidget(self.previews, 3)
        column.addWidget(self._message)
        return page

    def _make_buttons(self) -> None:
        self.take_back = Button("Take back last round", tip="Put the masks before the last round back")
        self.take_back.clicked.connect(self.take_back_wanted)
        self.export = Button("Export network…", tip="Write the network of the last round to a file")
        self.export.clicked.connect(self.export_wanted)
        self.cancel = Button("Cancel", tip="Stop; no mask is changed, and the training can go on later")
        self.cancel.clicked.connect(self.cancel_wanted)
        self.discard = Button("Discard", tip="Leave the masks of the project as they are")
        self.discard.clicked.connect(self._on_discard)
        self.add_buttons(self.take_back, self.export, self.cancel, self.discard)
        self._close = self.add_close()
        self.start = Button("Learn masks", "primary", icon_name="play")
        self.start.clicked.connect(self._on_start)
        self.use = Button("Use new masks", "primary", tip="Write the new masks into the project; it can be taken back")
        self.use.clicked.connect(self.use_wanted)
        self.add_buttons(self.start, self.use)

    def _tick(self) -> None:
        """Show the buttons that make sense now."""
        form, context = self._pages.currentIndex() == 0, self._context
        self.start.setVisible(form)
        self.start.setEnabled(bool(context.reviewed + context.confident))
        self.take_back.setVisible(form and context.can_take_back)
        self.export.setVisible(form and context.rounds > 0)
        self.cancel.setVisible(self._running)
        waiting = self._outcome is not None
        self.use.setVisible(waiting)
        self.discard.setVisible(waiting)

    @Slot()
    def _on_start(self) -> None:
        self.start_wanted.emit(STEPS[self._length.value()], self._go_on.isVisibleTo(self) and self._go_on.isChecked())

    @Slot()
    def _on_discard(self) -> None:
        self._outcome = None
        self.show_form()

    def show_form(self) -> None:
        """Go back to what there is to learn from."""
        self._outcome = None
        self._pages.setCurrentIndex(0)
        self.set_context(self._context)

    def show_started(self, steps: int) -> None:
        """Show that it learns; the curves begin."""
        self._steps, self._running, self._outcome = steps, True, None
        self._points = []
        self._pages.setCurrentIndex(1)
        self._state.setText("Reading images")
        self._bar.setRange(0, 0)
        self._message.hide()
        self.previews.set_previews(())
        self._draw()
        self._tick()

    def show_phase(self, phase: Phase) -> None:
        """Show reading or drawing of images."""
        self._state.setText(f"{phase.words}, {phase.done:,} of {phase.total:,}")
        self._bar.setRange(0, max(1, phase.total))
        self._bar.setValue(phase.done)

    def show_progress(self, progress: Progress, left: str) -> None:
        """Show the step; `left` is the remaining time in words."""
        self._bar.setRange(0, max(1, progress.total))
        self._bar.setValue(progress.done)
        self._state.setText(
            f"Learning, step {progress.done:,} of {progress.total:,}" + (f", {left} left" if left else "")
        )

    def show_point(self, found: PointFound) -> None:
        """Add a point to the curves, and show the doubtful images as they would look now."""
        self._points.append(found.point)
        self.previews.set_previews(found.previews)
        self._draw()

    def show_messages(self, messages: Sequence[str]) -> None:
        """Show sentences about what was left out."""
        rest = f"{len(messages) - 1:,} more are in the log." if len(messages) > 1 else ""
        self._message.show_message("info", messages[0], rest)
        self._message.show()

    def show_outcome(self, outcome: LearnOutcome) -> None:
        """Show what the new masks are like, and ask whether to use them."""
        self._running, self._outcome = False, outcome
        good = [entry for entry in outcome.drawn if not entry.error]
        kept = [entry.kept for entry in good if entry.kept is not None]
        changed = sum(value < 0.65 for value in kept)
        doubtful = sum(entry.doubt >= 0.5 for entry in good)
        self._state.setText(f"{len(good):,} masks are drawn")
        self._bar.setRange(0, 1)
        self._bar.setValue(1)
        parts = (
            [f"They overlap those before by {sum(kept) / len(kept):.2f}; {changed:,} are much different."]
            if kept
            else []
        )
        parts.append(f"{doubtful:,} are doubtful: review these first." if doubtful else "None is doubtful.")
        self._message.show_message("info", "The masks in the project are as they were.", " ".join(parts))
        self._message.show()
        self._tick()

    def show_ended(self, title: str, text: str = "", *, bad: bool = False) -> None:
        """Show that the training ended without masks."""
        self._running, self._outcome = False, None
        self._pages.setCurrentIndex(0)
        self.set_context(self._context)
        self._problem.show_message("bad" if bad else "info", title, text)
        self._problem.show()

    def _draw(self) -> None:
        points = self._points
        self.loss.set_curves([Series("loss", tuple((p.step, p.loss) for p in points))])
        self.overlap.set_curves(
            [
                Series("confident", tuple((p.step, p.agreement) for p in points if p.agreement is not None)),
                Series("reviewed", tuple((p.step, p.reviewed) for p in points if p.reviewed is not None)),
            ]
        )
