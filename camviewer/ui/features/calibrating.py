"""Probabilities that mean what they say: a temperature is fitted on labelled images, shown, and taken away again."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.errors import CamviewerError
from camviewer.project.temperature import Network, Temperature
from camviewer.ui.bench import Bench
from camviewer.workers.calibration import calibrate_work


class Calibrating(QObject):
    """Keeps the action and the word beside the probabilities at what the project holds of the network."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._job = bench.long_job(self)
        self._network: Network = ("", "")
        self._action = bench.actions["calibrate"]
        bench.actions.connect("calibrate", self._toggle)
        self._job.finished.connect(self._on_fitted)
        self._job.failed.connect(self._show)
        self._job.cancelled.connect(self._show)
        bench.session.project_opened.connect(self._on_project)
        bench.computing.model_changed.connect(self._show)
        bench.computing.scores_ready.connect(self._show)

    @Slot()
    def _toggle(self) -> None:
        """Fit a temperature for the network on hand, or forget it."""
        session, network = self._bench.session, self._bench.computing.network()
        if session.project is None or network is None:
            self._show()
        elif self._action.isChecked():
            self._network = network
            self._job.start(calibrate_work(session.project.path, network))
        else:
            self._keep(network, None)
            self._bench.say("The probabilities are the network's own again.", "", "ok")

    @Slot(object)
    def _on_fitted(self, found: Temperature) -> None:
        self._keep(self._network, found)
        self._bench.say(
            f"Temperature {found.value:.2f}, fitted on {found.images:,} labelled images.", error_words(found), "ok"
        )

    def _keep(self, network: Network, found: Temperature | None) -> None:
        try:
            self._bench.session.set_temperature(network, found)
        except CamviewerError as error:
            self._bench.say(error.message, "The probabilities are as they were", "bad")
        self._show()

    @Slot(object)
    def _on_project(self, _project: object) -> None:
        self._job.cancel()
        self._show()

    @Slot()
    def _show(self) -> None:
        session, network = self._bench.session, self._bench.computing.network()
        if network is not None:
            found = session.temperature(network)
        else:  # a project that is looked at without its network
            found = session.temperature_at(session.current.record) if session.current is not None else None
        self._action.setChecked(found is not None or self._job.running)
        self._bench.classes.set_temperature(found)


def error_words(found: Temperature) -> str:
    """Return the calibration error before and after in words."""
    return f"ECE {found.ece_before:.3f} before, {found.ece_after:.3f} after"
