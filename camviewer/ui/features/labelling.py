"""Labels beside predictions: read from tables and folders, compared, and said when they hardly agree."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.errors import CamviewerError
from camviewer.project.facts import LABEL, LESION, Fact, all_facts, set_many
from camviewer.ui.bench import Bench
from camviewer.workers.labels import Label, find_labels
from camviewer.workers.tasks import TaskDone

ENOUGH = 12
"""Below so many compared images agreement is chance."""

POOR = 0.4
"""Below this share of agreeing images something about the input is likely wrong."""


class Labelling(QObject):
    """Reads labels in the background whenever images or classes are new."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._warned = False
        bench.session.project_opened.connect(self._on_project)
        bench.session.scan_ended.connect(self._look)
        bench.computing.model_changed.connect(self._on_model)
        bench.session.tasks.done.connect(self._on_found)
        bench.jobs.idle.connect(self._judge)

    @Slot(object)
    def _on_project(self, _project: object) -> None:
        self._warned = False

    @Slot(object)
    def _on_model(self, _summary: object) -> None:
        self._warned = False
        self._look()

    @Slot()
    def _look(self) -> None:
        session, summary = self._bench.session, self._bench.computing.summary
        project = session.project
        if project is None:
            return
        files = [(record.id, project.file_of(record)) for record in session.records() if record.id is not None]
        root, classes = project.root, summary.identity.classes if summary is not None else ()
        session.tasks.submit("labels", project.path, lambda reporter: find_labels(files, root, classes, reporter))

    @Slot(object)
    def _on_found(self, answer: TaskDone) -> None:
        project = self._bench.session.project
        if answer.key != "labels" or project is None or answer.subject != project.path or not answer.result:
            return
        labels: dict[int, Label] = answer.result
        try:
            known = all_facts(project)
            rows: list[tuple[int, str, Fact | None]] = []
            for image_id, label in labels.items():
                for name, value in ((LABEL, label.name), (LESION, label.lesion), *label.more):
                    if value and known.get(image_id, {}).get(name) != value:
                        rows.append((image_id, name, value))
            if not rows:
                return
            set_many(project, rows)
        except CamviewerError as error:
            self._bench.say(error.message, "The labels are not kept", "bad")
            return
        self._bench.session.refresh_items()
        self._bench.say(f"{len(labels):,} images have a label.", "The filter Wrong shows where the model differs")
        self._judge()

    @Slot()
    def _judge(self) -> None:
        """Say once that predictions and labels hardly agree: that is seldom the network and often its input."""
        if self._warned or self._bench.session.project is None:
            return
        verdicts = [item.values["wrong"] for item in self._bench.gallery.model.items() if "wrong" in item.values]
        if len(verdicts) < ENOUGH or self._bench.gallery.model.blind:
            return
        right = sum(1 for wrong in verdicts if not wrong)
        if right < POOR * len(verdicts):
            self._warned = True
            self._bench.say(
                f"The model agrees with only {right:,} of {len(verdicts):,} labels.",
                "Check the order of the classes, the colour order and the resize mode",
                "warn",
            )
