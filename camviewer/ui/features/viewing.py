"""Viewing: zoom, view modes, what is shown and hidden, colours of the surroundings; remembered between starts."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtWidgets import QApplication, QWidget

from camviewer.ui.bench import Bench
from camviewer.ui.canvas.records import VIEW_MODES
from camviewer.ui.layout import Layout
from camviewer.ui.sections import Section
from camviewer.ui.theme import theme


class Viewing(QObject):
    """Connects what changes the view, and puts back how it was left."""

    def __init__(self, bench: Bench, layout: Layout) -> None:
        super().__init__(bench)
        self._bench, self._layout = bench, layout
        actions, canvas = bench.actions, bench.canvas
        on = actions.connect
        for mode in VIEW_MODES:
            on(f"view_{mode}", lambda mode=mode: canvas.set_mode(mode))  # type: ignore[misc]
        on("toggle_map", canvas.toggle_heat)
        on("fit", bench.stage.fit)
        on("zoom_actual", lambda: canvas.zoom_to(1.0))
        on("zoom_in", lambda: canvas.zoom_by(1.25))
        on("zoom_out", lambda: canvas.zoom_by(0.8))
        on("show_cells", lambda: canvas.set_cells_shown(actions["show_cells"].isChecked()))
        on("toggle_regions", lambda: canvas.set_regions_visible(actions["toggle_regions"].isChecked()))
        on("toggle_gallery", self._toggle_gallery)
        for shade in ("system", "dark", "light"):
            on(f"theme_{shade}", lambda shade=shade: self._set_theme(shade))  # type: ignore[misc]
        on("next_pane", self._next_pane)
        on("search", bench.gallery.focus_search)
        canvas.mode_changed.connect(self._on_mode)
        canvas.colour_map_changed.connect(self._keep_colour_map)
        canvas.opacity_changed.connect(self._keep_opacity)
        bench.regions.regions_shown.connect(self._show_regions)
        self._restore()

    def _restore(self) -> None:
        bench, value = self._bench, self._bench.settings.value
        theme().set_mode(value.theme if value.theme in ("dark", "light") else "system")  # type: ignore[arg-type]
        bench.actions[f"theme_{theme().mode}"].setChecked(True)
        bench.actions["toggle_regions"].setChecked(True)
        bench.actions["toggle_gallery"].setChecked(value.gallery_shown)
        bench.gallery.set_folded(not value.gallery_shown)
        bench.canvas.set_colour_map(value.colour_map)
        bench.canvas.set_opacity(value.opacity)
        for section in self._layout.findChildren(Section):
            section.set_folded(value.folded.get(section.key, False))
            section.folded.connect(self._keep_folded)
        self._layout.set_workspace(value.workspace if value.workspace in ("review", "model") else "review")

    @Slot(str)
    def _on_mode(self, mode: str) -> None:
        self._bench.actions[f"view_{mode}"].setChecked(True)

    @Slot(bool)
    def _show_regions(self, shown: bool) -> None:
        self._bench.actions["toggle_regions"].setChecked(shown)
        self._bench.canvas.set_regions_visible(shown)

    def _toggle_gallery(self) -> None:
        shown = self._bench.actions["toggle_gallery"].isChecked()
        self._bench.gallery.set_folded(not shown)
        self._bench.settings.change(lambda value: setattr(value, "gallery_shown", shown))

    def _set_theme(self, mode: str) -> None:
        theme().set_mode(mode)  # type: ignore[arg-type]
        self._bench.settings.change(lambda value: setattr(value, "theme", mode))

    @Slot(str, bool)
    def _keep_folded(self, key: str, folded: bool) -> None:
        self._bench.settings.value.folded[key] = folded

    @Slot(str)
    def _keep_colour_map(self, name: str) -> None:
        self._bench.settings.value.colour_map = name

    @Slot(float)
    def _keep_opacity(self, opacity: float) -> None:
        self._bench.settings.value.opacity = opacity
        if self._bench.canvas.isVisible():
            self._bench.canvas.show_heat()

    def _next_pane(self) -> None:
        panes = self._layout.panes()
        focus = QApplication.focusWidget()
        now = next((n for n, pane in enumerate(panes) if focus is not None and pane.isAncestorOf(focus)), -1)
        for offset in range(1, len(panes) + 1):
            pane = panes[(now + offset) % len(panes)]
            target = (pane.focusProxy() or first_focusable(pane)) if pane.isVisible() else None
            if target is not None:
                target.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return


def first_focusable(pane: QWidget) -> QWidget | None:
    """Return the first widget of a pane that Tab reaches."""
    for widget in (pane, *pane.findChildren(QWidget)):
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
            return widget
    return None
