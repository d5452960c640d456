"""Computing: the latest wish wins, late answers are dropped, what is stored is what computed, decisions stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_engine import SUMMARY, FakeBackend
from PIL import Image
from PySide6.QtWidgets import QApplication

from camviewer.cam.requests import Explanation
from camviewer.errors import ImageError
from camviewer.images.decode import read_image
from camviewer.images.geometry import Geometry, plan_input
from camviewer.models.records import ClassScore
from camviewer.pipeline.explain import Failure as FileFailure
from camviewer.pipeline.explain import complete
from camviewer.project.learnt import LearntMasks, store_round
from camviewer.project.mask_blob import pack
from camviewer.project.records import ActivationMap, Mask
from camviewer.regions.rules import RegionRule
from camviewer.ui.batch import Failure
from camviewer.ui.dialogs.failures import FailuresDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.panels.method import MethodChoice
from camviewer.ui.settings import SettingsStore
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import LoadRequest

SIZE = (80, 60)
IMAGES = 4


class Maps(FakeBackend):
    """Finds a hot corner in every image; a method named in `held` waits for the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.broken: set[str] = set()

    def compute(self, job, watch):
        self._note(f"{job.path.stem} {job.request.methods[0]}")
        if job.request.methods[0] in self.held:
            self.wait(watch)
        if job.path.stem in self.broken:
            raise ImageError(f"{job.path.name} cannot be read.")
        return self.found(job.request)

    def found(self, request) -> Explanation:
        plan = plan_input(SIZE, mode="squash", input_size=(32, 32))
        geometry = Geometry(SIZE, (32, 32), (4, 4), plan.input_to_image)
        values = np.zeros((4, 4), np.float32)
        values[:2, :2] = 1 + len(request.methods[0])
        scores = (ClassScore(1, "b", 2.0, 0.8), ClassScore(0, "a", 0.5, 0.2))
        return Explanation(scores, (ActivationMap(1, request.methods[0], "layer", values, geometry),), plan)

    def compute_group(self, job, first, watch):
        path = job.paths[first]
        self._note(f"batch {path.stem}")
        if path.stem in self.broken:
            return [complete(path, None, FileFailure("image", f"{path.name} cannot be read."), job.rule)]
        return [complete(path, read_image(path), self.found(job.request), job.rule)]


@pytest.fixture
def backend() -> Maps:
    return Maps()


@pytest.fixture
def window(qtbot, tmp_path: Path, backend: Maps) -> Iterator[MainWindow]:
    images = tmp_path / "spots"
    images.mkdir()
    for number in range(IMAGES):
        Image.fromarray(np.full((60, 80, 3), 180 + number, np.uint8)).save(images / f"spot_{number}.png")
    main = MainWindow(SettingsStore(None), engine=Engine(make_backend=lambda: backend))
    main.show()
    main.bench.session.open_folder(images)
    qtbot.waitUntil(lambda: main.bench.gallery.model.total() == IMAGES, timeout=10_000)
    main.bench.computing.set_choice(MethodChoice("gradcam"))
    main.bench.computing.load_model(LoadRequest(model="fast"))
    qtbot.waitUntil(lambda: stored(main) == {"gradcam"} and not main.bench.engine.busy, timeout=15_000)
    yield main
    backend.gate.set()
    main.close()


def stored(window: MainWindow) -> set[str]:
    """Return the methods whose maps the project holds of the image on the canvas."""
    current = window.bench.session.current
    if current is None:
        return set()
    return {found.method for found in window.bench.session.project.maps(current.record.id)}


def shown(window: MainWindow) -> str:
    return window.bench.computing.shown_map.method if window.bench.computing.shown_map is not None else ""


def test_the_latest_choice_wins_and_the_late_answer_is_neither_shown_nor_stored(window, backend, qtbot) -> None:
    assert SUMMARY.identity.classes == ("a", "b")
    backend.held.add("gradcampp")
    window.bench.computing.set_choice(MethodChoice("gradcampp"))
    qtbot.waitUntil(backend.entered.is_set, timeout=10_000)
    window.bench.computing.set_choice(MethodChoice("layercam"))
    qtbot.waitUntil(lambda: shown(window) == "layercam", timeout=10_000)
    backend.gate.set()
    qtbot.waitUntil(lambda: "layercam" in stored(window) and not window.bench.engine.busy, timeout=10_000)
    assert stored(window) == {"gradcam", "layercam"}
    assert shown(window) == "layercam"


def test_an_answer_for_an_image_that_is_not_on_the_canvas_any_more_is_dropped(window, backend, qtbot) -> None:
    backend.held.add("gradcampp")
    window.bench.computing.set_choice(MethodChoice("gradcampp"))
    qtbot.waitUntil(backend.entered.is_set, timeout=10_000)
    left = window.bench.session.current.record.id
    window.reviewing.step(1)
    backend.gate.set()
    qtbot.waitUntil(lambda: "gradcampp" in stored(window) and not window.bench.engine.busy, timeout=10_000)
    assert window.bench.session.current.record.id != left
    assert {found.method for found in window.bench.session.project.maps(left)} == {"gradcam"}


def test_what_is_recorded_is_what_computed_not_what_is_chosen_meanwhile(window, backend, qtbot, monkeypatch) -> None:
    project, image_id = window.bench.session.project, window.bench.session.current.record.id
    (found,) = project.maps(image_id)
    run = project.run(found.run)
    assert run.methods == ("gradcam",) and run.precision == "fast" and run.versions == {"torch": "0"}
    # A batch with one rule, whose answers arrive after the person has chosen another method and rule.
    rule = replace(RegionRule(), threshold=0.77)
    window.bench.computing.rule = rule
    window.bench.batch.compute_all()
    window.bench.computing.choice = MethodChoice("layercam", {}, offset=False)
    window.bench.computing.rule = replace(rule, threshold=0.11)
    qtbot.waitUntil(lambda: not window.bench.engine.busy, timeout=10_000)
    other = window.bench.session.records()[2].id
    (found,) = project.maps(other)
    run = project.run(found.run)
    assert run.methods == ("gradcam",) and run.offset and run.rule.threshold == 0.77


def test_a_changed_parameter_computes_again_though_a_map_of_the_method_is_stored(window, backend, qtbot) -> None:
    before = len(backend.ran)
    window.bench.computing.set_choice(MethodChoice("gradcam", {}, offset=False))
    qtbot.waitUntil(lambda: len(backend.ran) == before + 1 and not window.bench.engine.busy, timeout=10_000)
    project, image_id = window.bench.session.project, window.bench.session.current.record.id
    qtbot.waitUntil(lambda: not project.run(project.maps(image_id)[0].run).offset, timeout=10_000)
    # And back: the stored map is the other one now.
    window.bench.computing.set_choice(MethodChoice("gradcam", {}, offset=True))
    qtbot.waitUntil(lambda: len(backend.ran) == before + 2 and not window.bench.engine.busy, timeout=10_000)


def test_an_image_that_cannot_be_computed_is_marked_and_the_next_one_works(window, backend, qtbot) -> None:
    backend.broken.add("spot_1")
    window.reviewing.step(1)
    qtbot.waitUntil(lambda: window.bench.session.current.record.status == "failed", timeout=10_000)
    assert "spot_1.png cannot be read" in window.bench.status.message()
    window.reviewing.step(1)
    qtbot.waitUntil(lambda: stored(window) == {"gradcam"} and not window.bench.engine.busy, timeout=10_000)


def test_an_automatic_run_changes_no_reviewed_image_and_computes_the_others(window, backend, qtbot) -> None:
    session = window.bench.session
    drawn = np.zeros((60, 80), np.bool_)
    drawn[30:50, 40:70] = True
    session.set_mask(drawn, 2, "Mask drawn.")
    session.set_status("reviewed")
    image_id = session.current.record.id
    before = [(m.class_id, m.slot, m.pixels.tobytes()) for m in session.project.masks(image_id)]
    boxes = session.project.boxes(image_id)
    backend.ran.clear()
    for again in (False, True):
        window.bench.batch.compute_all()
        qtbot.waitUntil(lambda: not window.bench.engine.busy, timeout=10_000)
        assert not any(entry == "batch spot_0" for entry in backend.ran)
        # The second time all the others have results, and are computed all the same.
        assert sum(entry.startswith("batch") for entry in backend.ran) == (IMAGES - 1) * (2 if again else 1)
    window.bench.computing.recompute()
    window.bench.computing.set_rule(replace(RegionRule(), threshold=0.9))
    qtbot.waitUntil(lambda: not window.bench.engine.busy, timeout=10_000)
    qtbot.wait(100)
    after = [(m.class_id, m.slot, m.pixels.tobytes()) for m in session.project.masks(image_id)]
    assert after == before and session.project.boxes(image_id) == boxes
    assert session.project.image(image_id).status == "reviewed"
    for record in session.records()[1:]:
        assert any(isinstance(mask, Mask) and mask.slot == "auto" for mask in session.project.masks(record.id))


def test_new_maps_leave_learnt_masks_and_a_changed_rule_replaces_them(window, backend, qtbot) -> None:
    session = window.bench.session
    project, image_id = session.project, session.current.record.id
    class_id = project.masks(image_id)[0].class_id
    learnt = np.zeros(SIZE[::-1], bool)
    learnt[40:50, 50:70] = True
    run = project.run(project.masks(image_id)[0].run)
    drawn = [LearntMasks(record.id, {class_id: pack(learnt)}, 0.1) for record in session.records()]
    store_round(project, drawn, network=b"weights", record={}, run=replace(run, methods=()))

    window.bench.batch.compute_all()
    qtbot.waitUntil(lambda: not window.bench.engine.busy, timeout=10_000)
    window.bench.computing.set_choice(MethodChoice("layercam", {}))
    qtbot.waitUntil(lambda: "layercam" in stored(window) and not window.bench.engine.busy, timeout=10_000)
    for record in session.records():
        (mask,) = project.masks(record.id)
        assert (mask.pixels == learnt).all() and project.maps(record.id)
        assert project.image(record.id).doubt == 0.1

    window.bench.computing.set_rule(replace(RegionRule(), threshold=0.9))
    qtbot.waitUntil(lambda: not (project.masks(image_id)[0].pixels == learnt).all(), timeout=10_000)


def test_a_batch_ends_with_one_message_that_opens_the_list_of_failures(window, backend, qtbot) -> None:
    backend.broken |= {"spot_1", "spot_3"}
    window.bench.batch.compute_all()
    qtbot.waitUntil(lambda: not window.bench.engine.busy, timeout=10_000)
    assert window.bench.status.message().startswith("1 image computed, 2 failed.")
    assert QApplication.activeModalWidget() is None
    window.bench.status._action.click()
    (dialog,) = window.findChildren(FailuresDialog)
    lines = [dialog.list.topLevelItem(row) for row in range(dialog.list.topLevelItemCount())]
    assert [(line.text(0), line.text(1)) for line in lines] == [
        ("spot_1.png", "spot_1.png cannot be read."),
        ("spot_3.png", "spot_3.png cannot be read."),
    ]
    dialog.list.itemActivated.emit(lines[1], 0)
    assert window.bench.session.current.record.path.name == "spot_3.png"
    dialog.close()
    # A later message takes the button away.
    window.bench.status.show_message("Saved.")
    assert not window.bench.status._action.isVisible()


def test_many_failures_are_one_list(qtbot) -> None:
    dialog = FailuresDialog([Failure(n, f"{n}.png", "It is cut short.") for n in range(3000)])
    qtbot.addWidget(dialog)
    assert dialog.list.topLevelItemCount() == 3000


def test_the_best_class_of_another_network_is_not_chosen(window, backend, qtbot) -> None:
    session, computing = window.bench.session, window.bench.computing
    other = next(record for record in session.records() if record.id != session.current.record.id)
    session.project.store_result(other.id, run_id=None, top=[(0, 3.0, 0.9)])  # by a network that is not loaded
    session.reload_all()
    assert next(record for record in session.records() if record.id == other.id).top[0][0] == 0
    session.show_image(other.id)
    qtbot.waitUntil(lambda: session.current.record.id == other.id and stored(window) == {"gradcam"}, timeout=10_000)
    assert computing.class_index == 1
    assert shown(window) == "gradcam"
