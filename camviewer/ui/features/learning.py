"""Masks that learn: a round in the background, a look at before and after, and the person's word on it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.errors import CamviewerError
from camviewer.project.learnt import (
    LearntMasks,
    can_take_back,
    earlier_masks,
    network_of,
    rounds_of,
    store_round,
    take_back,
)
from camviewer.project.store import Project
from camviewer.ui.bench import Bench
from camviewer.ui.canvas.records import Region
from camviewer.ui.dialogs.learn import LearnContext, LearnDialog
from camviewer.workers.jobs import Progress
from camviewer.workers.learning import (
    LearnOutcome,
    LearnRequest,
    LearnSettings,
    Phase,
    PointFound,
    learn_work,
    of_project,
    run_record,
    state_beside,
    write_network,
)


class Learning(QObject):
    """Keeps the dialog, the one round that may run, and the masks before the last one."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._job = bench.long_job(self)
        self._project: Project | None = None
        self._outcome: LearnOutcome | None = None
        self._messages: list[str] = []
        self.dialog: LearnDialog | None = None
        bench.actions.connect("learn_masks", self.open)
        bench.actions.connect("masks_before", self._show_before)
        session = bench.session
        session.project_opened.connect(self._on_project)
        session.regions_changed.connect(self._on_regions)
        self._job.part_found.connect(self._on_part)
        self._job.progressed.connect(self._on_progress)
        self._job.finished.connect(self._on_finished)
        self._job.failed.connect(self._on_failed)
        self._job.cancelled.connect(self._on_cancelled)

    @Slot()
    def open(self) -> None:
        """Show the dialog, with the round that runs if there is one."""
        if self.dialog is None:
            self.dialog = LearnDialog(parent=self._bench.window)
            self.dialog.start_wanted.connect(self.start)
            self.dialog.cancel_wanted.connect(self._job.cancel)
            self.dialog.use_wanted.connect(self.use)
            self.dialog.take_back_wanted.connect(self.take_back)
            self.dialog.export_wanted.connect(self.export_network)
            self.dialog.image_wanted.connect(self._bench.session.show_image)
        self._refresh()
        if self.dialog.isVisible():
            self.dialog.raise_()
        self.dialog.show()

    @Slot(int, bool)
    def start(self, steps: int, go_on: bool) -> None:
        """Learn in the background; only one round runs at a time."""
        project = self._bench.session.project
        if project is None or self._job.running:
            return
        settings = LearnSettings(steps=steps)
        try:
            start = network_of(project) if go_on else None
            settings = settings if start is None else settings.further()
            work = learn_work(LearnRequest(of_project(project), settings, start, state_beside(project.path)))
        except CamviewerError as error:
            self._bench.say(error.message, "", "bad")
            return
        self._project, self._outcome = project, None
        self._messages.clear()
        if self.dialog is not None:
            self.dialog.show_started(steps)
        self._job.start(work)

    @Slot()
    def use(self) -> None:
        """Write the new masks into the project, all of them or none."""
        outcome, project = self._outcome, self._bench.session.project
        if outcome is None or project is None or project is not self._project:
            return
        masks = [LearntMasks(d.key, d.masks, d.doubt, d.reason) for d in outcome.drawn if not d.error]
        try:
            run = run_record(outcome.learnt, outcome.task, number=len(rounds_of(project)) + 1)
            written = store_round(project, masks, network=outcome.learnt.network, record=outcome.learnt.record, run=run)
        except CamviewerError as error:
            self._bench.say(error.message, "The masks are as they were", "bad")
            return
        self._outcome = None
        self._changed()
        self._bench.say(f"{written:,} masks are drawn anew.", "Review the most doubtful, then learn again", "ok")
        if self.dialog is not None:
            self.dialog.show_form()

    @Slot()
    def take_back(self) -> None:
        """Put the masks before the last round back."""
        project = self._bench.session.project
        if project is None:
            return
        try:
            restored = take_back(project)
        except CamviewerError as error:
            self._bench.say(error.message, "The masks are as they were", "bad")
            return
        self._changed()
        self._bench.say(f"The masks of {restored:,} images are as before the last round.", "", "ok")

    @Slot()
    def export_network(self) -> None:
        """Write the network of the last round to a file."""
        project = self._bench.session.project
        data = network_of(project) if project is not None else None
        if project is None or data is None:
            return
        suggested = str(project.path.with_name(f"{project.path.stem} masks.safetensors"))
        file = self._bench.dialogs.new_file("Network that draws masks", suggested, "Networks (*.safetensors)")
        if file is None:
            return
        try:
            write_network(file, data)
        except CamviewerError as error:
            self._bench.say(error.message, "", "bad")
            return
        self._bench.say(f"{file.name} is written.", "camviewer-cli learn-masks --start reads it", "ok")

    # --- before and after -----------------------------------------------------------------------------------------

    @Slot()
    def _show_before(self) -> None:
        self._bench.session.refresh_regions()

    @Slot(object)
    def _on_regions(self, _regions: object) -> None:
        """While the action is checked, the canvas shows the masks that the last round replaced."""
        session = self._bench.session
        if not self._bench.actions["masks_before"].isChecked() or session.project is None or session.current is None:
            return
        image_id = session.current.record.id
        try:
            before = earlier_masks(session.project, image_id) if image_id is not None else None
        except CamviewerError as error:
            self._bench.say(error.message, "", "bad")
            return
        if before is None:
            self._bench.say("The last round drew nothing here.", "", "info")
            return
        shown = [
            Region(("before", mask.class_id), mask, *session.class_of(mask.class_id))
            for mask in before
            if mask.pixels.any()
        ]
        self._bench.canvas.set_regions(shown)

    # --- answers --------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, _project: object) -> None:
        self._bench.actions["masks_before"].setChecked(False)
        self._outcome = None
        self._job.cancel()
        if self.dialog is not None and not self._job.running:
            self.dialog.show_form()
        self._refresh()

    @Slot(object)
    def _on_part(self, part: object) -> None:
        if self.dialog is None:
            return
        if isinstance(part, PointFound):
            self.dialog.show_point(part)
        elif isinstance(part, Phase):
            self.dialog.show_phase(part)
        elif isinstance(part, str):
            self._messages.append(part)
            self.dialog.show_messages(self._messages)

    @Slot(object, str)
    def _on_progress(self, progress: Progress, left: str) -> None:
        if self.dialog is not None:
            self.dialog.show_progress(progress, left)

    @Slot(object)
    def _on_finished(self, outcome: LearnOutcome) -> None:
        if self._bench.session.project is not self._project:
            return  # it was learnt for a project that is closed
        self._outcome = outcome
        self._bench.say("The masks are learnt.", "Model, Learn masks asks whether to use them", "ok")
        if self.dialog is not None:
            self.dialog.show_outcome(outcome)

    @Slot(str)
    def _on_failed(self, message: str) -> None:
        if self.dialog is not None:
            self.dialog.show_ended("The masks could not be learnt.", message, bad=True)

    @Slot()
    def _on_cancelled(self) -> None:
        if self.dialog is not None:
            self.dialog.show_ended("Cancelled; no mask is changed.", "Learning goes on from here unless masks change.")

    def _changed(self) -> None:
        self._bench.session.reload_all()
        self._refresh()

    def _refresh(self) -> None:
        """Tell the dialog what the project holds."""
        project = self._bench.session.project
        if self.dialog is None:
            return
        if project is None:
            self.dialog.set_context(LearnContext(0, 0, 0, 0, False))
            return
        try:
            task = of_project(project)
            context = LearnContext(
                task.count("reviewed"),
                task.confident(LearnSettings()),
                task.count("automatic"),
                len(rounds_of(project)),
                can_take_back(project),
            )
        except CamviewerError as error:
            self._bench.say(error.message, "", "bad")
            return
        self.dialog.set_context(context)
