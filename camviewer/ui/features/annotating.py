"""Annotating: tools, boxes, masks, their classes, and undo."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from PySide6.QtCore import QObject, QPoint, Slot
from PySide6.QtGui import QKeySequence, QShortcut

from camviewer.regions import drawing
from camviewer.ui.bench import Bench
from camviewer.ui.canvas.records import TOOLS, BoxChanged, BoxDrawn, MaskEdited, PaintClass, Region, Scribbled


class Annotating(QObject):
    """Takes what a hand does on the canvas and in the list of regions to the session, and its answers back."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._new_class: int | None = None
        self._connect_actions()
        self._connect_parts()

    def _connect_actions(self) -> None:
        bench, session, canvas = self._bench, self._bench.session, self._bench.canvas
        on = bench.actions.connect
        on("undo", session.undo.undo)
        on("redo", session.undo.redo)
        on("delete_region", session.delete_region)
        for tool in TOOLS:
            on(f"tool_{tool}", lambda tool=tool: canvas.set_tool(tool))  # type: ignore[misc]
        bench.actions["tool_select"].setChecked(True)
        on("brush_smaller", lambda: canvas.resize_brush(-1))
        on("brush_larger", lambda: canvas.resize_brush(1))
        on("mask_largest", lambda: session.change_mask(drawing.keep_largest, "Largest piece kept."))
        on("mask_fill", lambda: session.change_mask(drawing.fill_holes, "Holes filled."))
        on("mask_small", lambda: session.change_mask(drawing.remove_small, "Small pieces removed."))
        on("mask_smooth", lambda: session.change_mask(drawing.smooth, "Outline smoothed."))
        on("mask_snap", lambda: session.snap_mask(bench.computing.shown_map))
        on("box_from_mask", session.box_from_mask)
        on("mask_from_box", session.mask_from_box)
        on("copy_regions", self._copy_regions)
        for number in range(1, 10):
            key = QShortcut(QKeySequence(str(number)), bench.window)
            key.activated.connect(lambda number=number: self.assign_class(number))

    def _connect_parts(self) -> None:
        bench, session, canvas = self._bench, self._bench.session, self._bench.canvas
        session.project_opened.connect(self._on_project)
        session.regions_changed.connect(self._on_regions)
        session.selection_changed.connect(self._on_selection)
        canvas.box_drawn.connect(self._on_box_drawn)
        canvas.box_changed.connect(self._on_box_changed)
        canvas.mask_edited.connect(self._on_mask_edited)
        canvas.scribbled.connect(self._on_scribbled)
        session.scribbles_idle.connect(canvas.settle_scribbles)
        canvas.hinted.connect(self._on_hint)
        canvas.region_selected.connect(session.select)
        canvas.region_deleted.connect(session.delete_region)
        canvas.tool_changed.connect(self._on_tool)
        bench.regions.region_selected.connect(session.select)
        bench.regions.region_deleted.connect(session.delete_region)
        bench.regions.region_shown.connect(session.show_region)
        bench.regions.box_requested.connect(bench.actions["tool_box"].trigger)
        bench.regions.menu_wanted.connect(self._show_class_menu)
        bench.class_menu.aboutToShow.connect(self._fill_class_menu)
        bench.computing.class_chosen.connect(self._forget_class)
        bench.computing.class_changed.connect(self._show_class)

    # --- answers --------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, _project: object) -> None:
        self._new_class = None

    @Slot(object)
    def _on_regions(self, regions: list[Region]) -> None:
        self._show_class()
        session = self._bench.session
        size = session.current.record.size if session.current is not None else (0, 0)
        self._bench.canvas.set_regions(regions, selected=session.selected)
        self._bench.regions.set_regions(regions, size, selected=session.selected)

    @Slot(object)
    def _on_selection(self, key: Hashable | None) -> None:
        self._bench.canvas.set_selected(key)
        self._bench.regions.set_selected(key)

    # --- deeds ----------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_box_drawn(self, drawn: BoxDrawn) -> None:
        self._bench.session.add_box(replace(drawn.box, class_id=self.class_of_new()))

    @Slot(object)
    def _on_box_changed(self, changed: BoxChanged) -> None:
        self._bench.session.change_box(changed.key, changed.box, merge=changed.nudge)

    @Slot(object)
    def _on_mask_edited(self, edited: MaskEdited) -> None:
        self._bench.session.edit_mask(edited, self.class_of_new())

    @Slot(object)
    def _on_scribbled(self, scribbled: Scribbled) -> None:
        self._bench.session.cut_out(scribbled, self.class_of_new(), self._bench.computing.shown_map)

    @Slot(str)
    def _on_hint(self, sentence: str) -> None:
        first, _, rest = sentence.partition(". ")
        self._bench.say(f"{first.rstrip('.')}.", rest)

    @Slot(str)
    def _on_tool(self, tool: str) -> None:
        action = f"tool_{tool}"
        if action in self._bench.actions.names():
            self._bench.actions[action].setChecked(True)

    def _copy_regions(self) -> None:
        session = self._bench.session
        following = self._bench.gallery.neighbour(1, wanted=lambda _item: True)
        if following is None:
            self._bench.say("There is no image after this one.")
        elif session.copy_regions(following):
            session.show_image(following)

    # --- the class of new regions ---------------------------------------------------------------------------------

    def class_of_new(self) -> int:
        """Return the class of new regions: the one chosen by its number, else that of the map on screen."""
        session = self._bench.session
        if self._new_class is not None and session.has_class(self._new_class):
            return self._new_class
        index = self._bench.computing.class_index
        return session.class_id_of(index) if index is not None else 0

    def assign_class(self, number: int) -> None:
        """Give the selected region the class of this number, or choose the class of new regions."""
        session = self._bench.session
        if session.current is None or not session.has_class(number):
            return
        if not session.assign_class(number):
            self._bench.say(f"New regions are {session.class_of(number)[0]}.")
        self._new_class = number
        self._show_class()

    @Slot()
    def _fill_class_menu(self) -> None:
        """List the classes, with the keys of the first nine; the selected region's, or that of new ones, is ticked."""
        menu, session = self._bench.class_menu, self._bench.session
        menu.clear()
        region = session.find_region(session.selected)
        present = region.shape.class_id if region is not None else self.class_of_new()
        for entry in session.table.classes:
            action = menu.addAction(f"{entry.name}\t{entry.id}" if entry.id <= 9 else entry.name)
            action.setCheckable(True)
            action.setChecked(entry.id == present)
            action.triggered.connect(lambda _checked=False, number=entry.id: self.assign_class(number))
        if menu.isEmpty():
            menu.addAction("No classes yet: open a model").setEnabled(False)

    @Slot(QPoint)
    def _show_class_menu(self, place: QPoint) -> None:
        self._bench.class_menu.popup(place)

    @Slot()
    def _forget_class(self) -> None:
        self._new_class = None
        self._show_class()

    @Slot()
    def _show_class(self) -> None:
        class_id = self.class_of_new()
        name, colour = self._bench.session.class_of(class_id)
        self._bench.canvas.set_paint_class(PaintClass(class_id, name, colour))
