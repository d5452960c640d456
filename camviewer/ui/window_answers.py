"""What the window shows when session, engine or a panel says something, and what may be done next."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, Slot

from camviewer.catalogue.actions import Needs
from camviewer.images.geometry import Geometry
from camviewer.project.records import ActivationMap
from camviewer.project.store import Project
from camviewer.ui.canvas.records import BoxChanged, BoxDrawn, MaskEdited, PaintClass, Region
from camviewer.ui.computing import Failure
from camviewer.ui.gallery.model import GalleryItem
from camviewer.ui.panels.image import ImageFacts
from camviewer.ui.panels.method import MethodChoice
from camviewer.ui.session import ShownImage
from camviewer.ui.settings import RecentProject
from camviewer.ui.window_parts import WindowParts
from camviewer.workers.jobs import ClassUnit, ClassUnits, ModelSummary


class AnsweringWindow(WindowParts):
    """Passes on what session, computing and panels say, and enables what is possible."""

    @Slot(object)
    def _on_project(self, project: Project | None) -> None:
        self._leave_compare()
        self._new_class = None
        self._pages.setCurrentIndex(1 if project is not None else 0)
        self.workspaces.setVisible(project is not None)
        self._lay_out()
        if project is None:
            self.gallery.model.set_items([])
            self.gallery.pictures.clear()
            self.setWindowTitle("camviewer")
            self.header.set_image("", "", "new")
            self.welcome.set_recent(self.settings.value.recent)
            self.welcome.focus_start()
        else:
            self.gallery.pictures.clear()
            self.canvas.setFocus(Qt.FocusReason.OtherFocusReason)
            name = "Demo, synthetic images" if self.session.synthetic else project.path.stem
            self.setWindowTitle(f"{name} – camviewer")
            self._remember_project()
        self._enable()

    def _remember_project(self) -> None:
        import time

        project = self.session.project
        if project is None:
            return
        counts = self.gallery.model.counts()
        name = "Demo, synthetic" if self.session.synthetic else project.path.stem
        entry = RecentProject(str(project.path), name, self.gallery.model.total(), counts["reviewed"], time.time())
        self.settings.change(lambda value: value.remember(entry))

    @Slot(int)
    def _on_scanned(self, total: int) -> None:
        self._remember_project()
        if total:
            where = self.session.project.path.stem if self.session.project is not None else ""
            name = "the demo" if self.session.synthetic else where
            self._say(
                f"{total:,} images in {name}.", "" if self.computing.summary else "Open a model to see maps", "info"
            )

    @Slot(object)
    def _on_image(self, shown: ShownImage | None) -> None:
        if shown is None:
            self.canvas.set_image(None)
            self.regions.set_regions([], (0, 0))
            self.image.set_image(None)
            self.gallery.set_current(None)
            self._enable()
            return
        self._show_header(shown)
        self.gallery.set_current(shown.record.id)
        if shown.pixels is not None:
            self.canvas.set_image(shown.pixels, str(shown.path))
            self.canvas.set_rule(self.computing.rule)
        elif shown.error:
            first, _, rest = shown.error.partition(". ")
            self.canvas.set_image(None)
            self.canvas.set_message(f"{first.rstrip('.')}.", rest)
        self._show_facts(shown)
        self._enable()

    def _show_facts(self, shown: ShownImage) -> None:
        record = shown.record
        if record.size == (0, 0):
            self.image.set_image(None)
            return
        facts = ImageFacts(
            name=record.path.name,
            size=record.size,
            format=record.path.suffix.lstrip(".").upper().replace("JPG", "JPEG"),
            file_size=record.file_size,
            flags=record.flags,
            note=record.note,
        )
        self.image.set_image(facts)

    def _show_header(self, shown: ShownImage) -> None:
        note = "Synthetic demo image" if self.session.synthetic else ""
        position = f"{shown.position:,} of {shown.total:,}"
        self.header.set_image(shown.record.path.name, position, shown.record.status, note=note)

    @Slot(object)
    def _on_item(self, item: GalleryItem) -> None:
        current = self.session.current
        if current is not None and current.record.id == item.id:
            self._show_header(current)

    @Slot(object)
    def _on_regions(self, regions: list[Region]) -> None:
        self._show_paint_class()
        current = self.session.current
        size = current.record.size if current is not None else (0, 0)
        self.canvas.set_regions(regions, selected=self.session.selected)
        self.regions.set_regions(regions, size, selected=self.session.selected)
        self._enable()

    @Slot(object)
    def _on_selection(self, key: object) -> None:
        self.canvas.set_selected(key)
        self.regions.set_selected(key)
        self._enable()

    @Slot(object)
    def _on_scores(self, scores: object) -> None:
        self.classes.set_scores(scores, self.session.table)  # type: ignore[arg-type]

    @Slot(object, str, object)
    def _on_map(self, found: ActivationMap | None, class_name: str, probability: float | None) -> None:
        self._has_map = found is not None
        self._map = found
        self.units.release()
        self.canvas.set_map(found, class_name=class_name, score=probability)
        self.threshold.set_map(found)
        if found is not None:
            self.method.set_result(found.seconds, found.precision, found.flags)
            if not self._map_hinted and class_name:
                self._map_hinted = True
                self._say(f"The map of {class_name} is ready.", "Q shows it on the image, and hides it again", "info")
        else:
            self.method.set_result(None)
        self._enable()

    def _fit(self) -> None:
        if self.actions_["compare"].isChecked():
            self.compare.grid.fit()
        else:
            self.canvas.fit()

    def _toggle_compare(self) -> None:
        """Show the comparison in the place of the canvas, or the canvas again."""
        shown = self.actions_["compare"].isChecked()
        self.compare.leave.setChecked(True)
        self.compare.grid.set_look(self.settings.value.colour_map, self.settings.value.opacity)
        self.canvas.set_comparison(self.compare if shown else None)
        self.compare.set_active(shown)
        self.canvas.setFocus(Qt.FocusReason.OtherFocusReason)

    def _leave_compare(self) -> None:
        if self.actions_["compare"].isChecked():
            self.actions_["compare"].setChecked(False)
            self._toggle_compare()

    @Slot(str, int)
    def _open_compared(self, method: str, class_index: int) -> None:
        """Show one cell of the comparison alone; its method and class are the current ones from then on."""
        self._leave_compare()
        if method != self.computing.choice.method:
            choice = MethodChoice(method, {}, self.computing.choice.offset)
            self.method.set_choice(choice)
            self.computing.set_choice(choice)
        self._on_class_chosen(class_index)
        self.canvas.set_mode("blend")

    @Slot(object)
    def _on_units(self, found: ClassUnits | None) -> None:
        current = self.session.current
        self.units.set_image(current.pixels if current is not None else None)
        names = self.computing.summary.identity.classes if self.computing.summary is not None else ()
        known = found is not None and found.class_index < len(names)
        self.units.set_units(found, class_name=names[found.class_index] if found is not None and known else "")

    @Slot(object, object)
    def _on_unit_chosen(self, unit: ClassUnit | None, geometry: Geometry | None) -> None:
        """Show the map of one unit on the image, or the class's map again."""
        index = self.computing.class_index
        if unit is None or geometry is None:
            if index is not None:
                self.computing.choose_class(index)
            return
        shown = ActivationMap(index or 0, f"unit {unit.unit}", "", unit.values, geometry)
        self.canvas.set_map(shown, class_name=f"Unit {unit.unit}")

    @Slot(object)
    def _on_model(self, summary: ModelSummary | None) -> None:
        self.model_panel.set_summary(summary)
        self.method.set_unavailable(self.computing.unavailable())
        self._enable()

    @Slot(object)
    def _on_rule_moved(self, rule_: object) -> None:
        self._show_heat()
        self.canvas.set_rule(rule_)  # type: ignore[arg-type]

    @Slot(object)
    def _on_rule(self, rule_: object) -> None:
        self.canvas.set_rule(rule_)  # type: ignore[arg-type]
        self.computing.set_rule(rule_)  # type: ignore[arg-type]

    @Slot(object)
    def _on_box_drawn(self, drawn: BoxDrawn) -> None:
        self.session.add_box(replace(drawn.box, class_id=self._class_of_new()))

    @Slot(object)
    def _on_mask_edited(self, edited: MaskEdited) -> None:
        self.session.edit_mask(edited, self._class_of_new())

    @Slot(str)
    def _on_hint(self, sentence: str) -> None:
        first, _, rest = sentence.partition(". ")
        self._say(f"{first.rstrip('.')}.", rest, "info")

    def _class_of_new(self) -> int:
        """Return the class of new regions: the one chosen by its number, else that of the map on screen."""
        if self._new_class is not None and any(entry.id == self._new_class for entry in self.session.table.classes):
            return self._new_class
        index = self.computing.class_index
        return self.session.class_id_of(index) if index is not None else 0

    @Slot()
    def _show_paint_class(self) -> None:
        class_id = self._class_of_new()
        name, colour = self.session.class_of(class_id)
        self.canvas.set_paint_class(PaintClass(class_id, name, colour))

    @Slot(int)
    def _on_class_chosen(self, class_index: int) -> None:
        self._new_class = None
        self.computing.choose_class(class_index)
        self._show_heat()

    def _show_rank(self, rank: int) -> None:
        self.computing.choose_rank(rank)
        self._show_heat()

    def _toggle_map(self) -> None:
        self.canvas.set_mode("blend" if self._mode == "original" else "original")

    def _show_heat(self) -> None:
        """Show the map to whoever asks for it or works on it while the image is shown alone."""
        if self._mode == "original":
            self.canvas.set_mode("blend")

    def _assign_class(self, number: int) -> None:
        """Give the selected region the class of this number, or choose the class of new regions."""
        if self.session.current is None or not any(entry.id == number for entry in self.session.table.classes):
            return
        if not self.session.assign_class(number):
            self._say(f"New regions are {self.session.class_of(number)[0]}.", "", "info")
        self._new_class = number
        self._show_paint_class()

    def _copy_regions(self) -> None:
        following = self.gallery.neighbour(1, wanted=lambda _item: True)
        if following is None:
            self._say("There is no image after this one.", "", "info")
        elif self.session.copy_regions(following):
            self.session.show_image(following)

    @Slot(object)
    def _on_box_changed(self, changed: BoxChanged) -> None:
        self.session.change_box(changed.key, changed.box, merge=changed.nudge)

    @Slot(str)
    def _on_mode(self, mode: str) -> None:
        self._mode = mode
        self._map_hinted = self._map_hinted or mode != "original"
        action = f"view_{mode}"
        if action in self.actions_.names():
            self.actions_[action].setChecked(True)

    @Slot(str)
    def _on_tool(self, tool: str) -> None:
        action = f"tool_{tool}"
        if action in self.actions_.names():
            self.actions_[action].setChecked(True)

    @Slot(object)
    def _on_job(self, _job: object) -> None:
        self._enable()

    @Slot(str, bool)
    def _on_device(self, text: str, starting: bool) -> None:
        self.status.set_device(text, busy=starting)

    @Slot(object)
    def _on_exported(self, report: object) -> None:
        sentence = str(getattr(report, "sentence", "The export is written."))
        first, _, rest = sentence.partition(". ")
        self._say(f"{first.rstrip('.')}.", rest, "ok")

    @Slot(str, object)
    def _on_batch_failed(self, sentence: str, failures: list[Failure]) -> None:
        self._failures = failures
        self.status.show_message(sentence, "The filter Failed shows them", tone="warn", action="Show")

    @Slot()
    def show_failures(self) -> None:
        """List what failed in the last batch."""
        from camviewer.ui.dialogs.failures import FailuresDialog

        dialog = FailuresDialog(self._failures, self)
        dialog.image_chosen.connect(self.session.show_image)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str, str, str)
    def _say(self, text: str, detail: str, tone: str) -> None:
        self.status.show_message(text, detail, tone=tone)  # type: ignore[arg-type]

    @Slot(str)
    def show_error(self, sentence: str) -> None:
        """Say that something unexpected happened."""
        self._say(sentence, "Help, Open the log folder", "bad")

    def _enable(self) -> None:
        have: set[Needs] = set()
        if self.session.project is not None:
            have.add("images")
        if self.session.current is not None:
            have.add("image")
            if self.computing.summary is not None:
                have.add("model")
        if self._has_map:
            have.add("map")
        if self.session.selected is not None:
            have.add("region")
        if self.engine.open_jobs():
            have.add("job")
        self.actions_.enable(have)
        stack = self.session.undo
        self.actions_["undo"].setEnabled(stack.to_undo is not None)
        self.actions_["redo"].setEnabled(stack.to_redo is not None)
        current = self.session.current
        decided = current is not None and current.record.status in ("reviewed", "skipped")
        self.actions_["reopen"].setEnabled(decided)
