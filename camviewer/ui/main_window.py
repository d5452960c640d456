"""The window. It only wires: header, left panel, canvas, right panel, gallery, status bar, session, computing."""

from __future__ import annotations

import logging
import os

from PySide6.QtCore import QByteArray, QEvent, Qt, QUrl, Slot
from PySide6.QtGui import (
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import (
    QApplication,
    QWidget,
)

from camviewer.paths import log_dir
from camviewer.regions import drawing
from camviewer.ui.canvas.records import TOOLS
from camviewer.ui.controls import bind_action
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.drop import dropped_paths
from camviewer.ui.sections import Section
from camviewer.ui.settings import SettingsStore, decode_bytes, encode_bytes
from camviewer.ui.theme import theme
from camviewer.ui.window_opening import OpeningWindow
from camviewer.workers.engine import Engine

log = logging.getLogger(__name__)


class MainWindow(OpeningWindow):
    """The main window."""

    def __init__(
        self, settings: SettingsStore, *, engine: Engine | None = None, dialogs: FileDialogs | None = None
    ) -> None:
        super().__init__(settings, engine=engine, dialogs=dialogs)
        self._wire_actions()
        self._wire_session()
        self._wire_panels()
        self._restore()
        self._enable()

    # --- wiring -------------------------------------------------------------------------------------------------------

    def _wire_actions(self) -> None:
        on = self.actions_.connect
        self._recent_menu.aboutToShow.connect(self._fill_recent_menu)
        on("open_folder", self.choose_folder)
        on("open_images", self.choose_images)
        on("open_project", self.choose_project)
        on("locate_images", self.locate_images)
        on("open_demo", self.open_demo)
        on("open_model", self.choose_model)
        on("export", self.choose_export)
        on("close_project", self.session.close_project)
        on("quit", self.close)
        on("undo", self.session.undo.undo)
        on("redo", self.session.undo.redo)
        on("delete_region", self.session.delete_region)
        on("search", self._focus_search)
        on("workspace_review", lambda: self.set_workspace("review"))
        on("workspace_model", lambda: self.set_workspace("model"))
        for mode in ("original", "heatmap", "blend"):
            on(f"view_{mode}", lambda mode=mode: self.canvas.set_mode(mode))  # type: ignore[misc]
        on("toggle_map", self._toggle_map)
        on("fit", self._fit)
        on("zoom_actual", lambda: self.canvas.zoom_to(1.0))
        on("zoom_in", lambda: self.canvas.zoom_by(1.25))
        on("zoom_out", lambda: self.canvas.zoom_by(0.8))
        on("toggle_regions", self._toggle_regions)
        on("toggle_gallery", self._toggle_gallery)
        for mode in ("system", "dark", "light"):
            on(f"theme_{mode}", lambda mode=mode: self._set_theme(mode))  # type: ignore[misc]
        on("next_pane", self._next_pane)
        on("previous", lambda: self.step(-1))
        on("next", lambda: self.step(1))
        on("previous_unreviewed", lambda: self.step(-1, unreviewed=True))
        on("next_unreviewed", lambda: self.step(1, unreviewed=True))
        on("mark_reviewed", self.mark_reviewed)
        on("skip", self.skip)
        on("reopen", self.reopen)
        for tool in TOOLS:
            on(f"tool_{tool}", lambda tool=tool: self.canvas.set_tool(tool))  # type: ignore[misc]
        on("brush_smaller", lambda: self.canvas.resize_brush(-1))
        on("brush_larger", lambda: self.canvas.resize_brush(1))
        session = self.session
        on("mask_largest", lambda: session.change_mask(drawing.keep_largest, "Largest piece kept."))
        on("mask_fill", lambda: session.change_mask(drawing.fill_holes, "Holes filled."))
        on("mask_small", lambda: session.change_mask(drawing.remove_small, "Small pieces removed."))
        on("mask_smooth", lambda: session.change_mask(drawing.smooth, "Outline smoothed."))
        on("compare", self._toggle_compare)
        bind_action(self.canvas.tools.compare, self.actions_["compare"])
        self.compare.leave.clicked.connect(self.actions_["compare"].trigger)
        self.compare.opened.connect(self._open_compared)
        on("mask_snap", lambda: session.snap_mask(self._map))
        on("show_cells", lambda: self.canvas.set_cells_shown(self.actions_["show_cells"].isChecked()))
        on("box_from_mask", session.box_from_mask)
        on("mask_from_box", session.mask_from_box)
        on("copy_regions", self._copy_regions)
        on("next_method", self.computing.next_method)
        on("compute", self.computing.recompute)
        on("compute_all", self.computing.compute_all)
        on("cancel", self.computing.cancel)
        on("keys", self.show_keys)
        on("show_log", self._show_log)
        on("about", self.show_about)
        for number in range(1, 10):
            assign = QShortcut(QKeySequence(str(number)), self)
            assign.activated.connect(lambda number=number: self._assign_class(number))
            rank = QShortcut(QKeySequence(f"Alt+{number}"), self)
            rank.activated.connect(lambda number=number: self._show_rank(number - 1))
        self.session.undo.changed.connect(self._enable)
        self.header.reviewed_pressed.connect(self.mark_reviewed)
        self.header.skip_pressed.connect(self.skip)
        self.welcome.demo_pressed.connect(self.open_demo)
        self.welcome.images_pressed.connect(self.choose_folder)
        self.welcome.model_pressed.connect(self.choose_model)
        self.welcome.project_pressed.connect(self.choose_project)
        self.welcome.keys_pressed.connect(self.show_keys)
        self.welcome.recent_pressed.connect(self._open_recent)
        self.welcome.locate_pressed.connect(self._locate_recent)
        self.status.cancel_pressed.connect(self.computing.cancel)
        self.workspaces.chosen.connect(self.set_workspace)

    def _wire_session(self) -> None:
        session, computing = self.session, self.computing
        session.project_opened.connect(self._on_project)
        session.items_reset.connect(self.gallery.model.set_items)
        session.items_found.connect(self.gallery.model.add_items)
        session.item_changed.connect(self.gallery.model.update_item)
        session.item_changed.connect(self._on_item)
        session.image_shown.connect(self._on_image)
        session.regions_changed.connect(self._on_regions)
        session.selection_changed.connect(self._on_selection)
        session.said.connect(self._say)
        session.scan_ended.connect(self._on_scanned)
        self.relinking.missing_changed.connect(self._on_missing)
        computing.model_changed.connect(self._on_model)
        computing.model_busy.connect(self.model_panel.set_busy)
        computing.scores_ready.connect(self._on_scores)
        computing.map_shown.connect(self._on_map)
        computing.partial_shown.connect(self.canvas.set_partial)
        computing.map_busy.connect(self.method.set_busy)
        computing.identity_checked.connect(self.model_panel.set_check)
        computing.class_changed.connect(self.classes.set_current)
        computing.class_changed.connect(self._show_paint_class)
        computing.choice_changed.connect(self.method.set_choice)
        computing.job_changed.connect(self.status.set_job)
        computing.job_changed.connect(self._on_job)
        computing.device_changed.connect(self._on_device)
        computing.exported.connect(self._on_exported)
        computing.said.connect(self._say)
        computing.batch_failed.connect(self._on_batch_failed)
        self.status.action_pressed.connect(self.show_failures)

    def _wire_panels(self) -> None:
        session, computing = self.session, self.computing
        self.gallery.image_chosen.connect(session.show_image)
        self.classes.class_chosen.connect(self._on_class_chosen)
        self.classes.class_pinned.connect(computing.pin_class)
        self.method.choice_changed.connect(computing.set_choice)
        self.method.recompute_requested.connect(computing.recompute)
        self.threshold.rule_changed.connect(self._on_rule_moved)
        self.threshold.rule_changed.connect(self.compare.grid.set_rule)
        self.threshold.rule_committed.connect(self._on_rule)
        self.canvas.threshold_found.connect(self.threshold.set_live)
        self.canvas.box_drawn.connect(self._on_box_drawn)
        self.canvas.box_changed.connect(self._on_box_changed)
        self.canvas.mask_edited.connect(self._on_mask_edited)
        self.canvas.hinted.connect(self._on_hint)
        self.canvas.region_selected.connect(session.select)
        self.canvas.region_deleted.connect(session.delete_region)
        self.canvas.mode_changed.connect(self._on_mode)
        self.canvas.tool_changed.connect(self._on_tool)
        self.canvas.colour_map_changed.connect(self._keep_colour_map)
        self.canvas.opacity_changed.connect(self._keep_opacity)
        self.regions.region_selected.connect(session.select)
        self.regions.region_deleted.connect(session.delete_region)
        self.regions.region_shown.connect(session.show_region)
        self.regions.regions_shown.connect(self._set_regions_shown)
        self.regions.box_requested.connect(self.actions_["tool_box"].trigger)
        self.image.note_changed.connect(session.set_note)
        self.image.flags_changed.connect(session.set_flags)
        self.unit_source.units_ready.connect(self._on_units)
        self.unit_source.refused.connect(self.units.set_reason)
        self.units.unit_chosen.connect(self._on_unit_chosen)
        self.units.looked_at.connect(self.unit_source.set_wanted)
        self.model_panel.layers_chosen.connect(computing.set_layers)
        self.model_panel.open_requested.connect(self.choose_model)
        folded = self.settings.value.folded
        for section in self.findChildren(Section):
            section.set_folded(folded.get(section.key, False))
            section.folded.connect(self._keep_folded)

    def _restore(self) -> None:
        value = self.settings.value
        actions = self.actions_
        theme().set_mode(value.theme if value.theme in ("dark", "light") else "system")  # type: ignore[arg-type]
        actions[f"theme_{theme().mode}"].setChecked(True)
        actions["toggle_regions"].setChecked(True)
        actions["tool_select"].setChecked(True)
        actions["toggle_gallery"].setChecked(value.gallery_shown)
        self.gallery.set_folded(not value.gallery_shown)
        self.canvas.set_colour_map(value.colour_map)
        self.canvas.set_opacity(value.opacity)
        if value.geometry:
            self.restoreGeometry(QByteArray(decode_bytes(value.geometry)))
        self.set_workspace(value.workspace if value.workspace in ("review", "model") else "review")
        self.welcome.set_recent(value.recent)
        self.status.show_message("Images can be opened now.", "Heat maps follow as soon as the engine has started")

    # --- small deeds --------------------------------------------------------------------------------------------------

    def _toggle_regions(self) -> None:
        self.canvas.set_regions_visible(self.actions_["toggle_regions"].isChecked())

    @Slot(bool)
    def _set_regions_shown(self, shown: bool) -> None:
        self.actions_["toggle_regions"].setChecked(shown)
        self.canvas.set_regions_visible(shown)

    def _toggle_gallery(self) -> None:
        shown = self.actions_["toggle_gallery"].isChecked()
        self.gallery.set_folded(not shown)
        self.settings.change(lambda value: setattr(value, "gallery_shown", shown))

    def _set_theme(self, mode: str) -> None:
        theme().set_mode(mode)  # type: ignore[arg-type]
        self.settings.change(lambda value: setattr(value, "theme", mode))

    def _focus_search(self) -> None:
        self.gallery.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.gallery.search.selectAll()

    def _next_pane(self) -> None:
        panes: list[QWidget] = [self.header, self._rail, self.model_panel, self.canvas, self._right, self.gallery]
        focus = QApplication.focusWidget()
        now = next((n for n, pane in enumerate(panes) if focus is not None and pane.isAncestorOf(focus)), -1)
        for offset in range(1, len(panes) + 1):
            pane = panes[(now + offset) % len(panes)]
            target = first_focusable(pane) if pane.isVisible() else None
            if target is not None:
                target.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return

    def _show_log(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(log_dir())))

    def show_keys(self) -> None:
        """Show all keys on one page."""
        self.dialogs.keys()

    def show_about(self) -> None:
        """Show version, licences and what the program is not for."""
        self.dialogs.about()

    @Slot(str, bool)
    def _keep_folded(self, key: str, folded: bool) -> None:
        self.settings.value.folded[key] = folded

    @Slot(str)
    def _keep_colour_map(self, name: str) -> None:
        self.settings.value.colour_map = name
        self.compare.grid.set_look(name, self.settings.value.opacity)

    @Slot(float)
    def _keep_opacity(self, opacity: float) -> None:
        self.settings.value.opacity = opacity
        self.compare.grid.set_look(self.settings.value.colour_map, opacity)
        if self.canvas.isVisible():
            self._show_heat()

    # --- keys, drops, closing -----------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_H and not event.isAutoRepeat() and self.session.current is not None:
            self.canvas.set_overlays_hidden(True)
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self.canvas.set_overlays_hidden(False)
            return
        super().keyReleaseEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and not self.isActiveWindow():
            # The release of a held key goes to another window.
            self.canvas.set_overlays_hidden(False)

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
            self.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Cancel, join, never hang: what does not end in time is left behind by leaving the process."""
        if not self._closed:
            self._closed = True
            self._remember_project()
            value = self.settings.value
            value.geometry = encode_bytes(bytes(self.saveGeometry().data()))
            self.settings.save()
            self.hide()  # importing torch cannot be interrupted, and nobody should have to watch the wait
            ended = [self.engine.close(), self.gallery.pictures.close(), self.relinking.close(), self.session.close()]
            if not all(ended):
                log.warning("threads did not end in time; leaving the process")
                logging.shutdown()
                os._exit(0)
        event.accept()
        self.closed.emit()


def first_focusable(pane: QWidget) -> QWidget | None:
    """Return the first widget of a pane that Tab reaches."""
    candidates = [pane, *pane.findChildren(QWidget)]
    for widget in candidates:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
            return widget
    return None
