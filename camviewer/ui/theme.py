"""The look as data: colour tokens for dark and light, type roles, and the object that hands them out.

One table holds both themes. Every icon, chart and style sheet takes its colours from `Theme`, which follows the
system's colour scheme while the program runs and says so with `Theme.changed`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Literal

import shiboken6
from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from camviewer.paths import resources_dir

Mode = Literal["system", "dark", "light"]
Role = Literal["display", "title", "subject", "section", "body", "name", "caption", "column"]

# token: (dark, light)
TOKENS: dict[str, tuple[str, str]] = {
    "canvas": ("#141415", "#D8D8DA"),
    "window": ("#1B1B1D", "#EFEFF1"),
    "panel": ("#222224", "#FAFAFB"),
    "raised": ("#2C2C2F", "#FFFFFF"),
    "raised-line": ("#2C2C2F", "#D2D2D7"),
    "hover": ("#343438", "#E9E9EC"),
    "pressed": ("#3D3D42", "#DEDEE2"),
    "segment": ("#2C2C2F", "#E9E9EC"),
    "segment-on": ("#48484E", "#FFFFFF"),
    "line": ("#303034", "#E2E2E6"),
    "outline": ("#7E7E87", "#777780"),
    "text": ("#EDEDEF", "#1A1A1D"),
    "text-2": ("#B6B6BC", "#494950"),
    "text-3": ("#9E9EA6", "#5C5C64"),
    "disabled": ("#67676E", "#A2A2AA"),
    "accent": ("#4C66E8", "#3D55CC"),
    "accent-hover": ("#5F77EE", "#354BB8"),
    "accent-pressed": ("#4157CC", "#2C3F9F"),
    "on-accent": ("#FFFFFF", "#FFFFFF"),
    "accent-line": ("#6E88FF", "#3D55CC"),
    "accent-text": ("#A3B4FF", "#3650C8"),
    "accent-soft": ("#2B3150", "#E2E7FB"),
    "ok": ("#66CBA0", "#176B43"),
    "ok-soft": ("#20352C", "#DFF1E7"),
    "warn": ("#E8B768", "#855300"),
    "warn-soft": ("#3A3122", "#FAEBD0"),
    "bad": ("#F2938C", "#B3261E"),
    "bad-soft": ("#3D2826", "#FBE4E2"),
    "track": ("#424247", "#D2D2D7"),
    "bar": ("#7E7E87", "#84848D"),
    "knob": ("#FFFFFF", "#FFFFFF"),
    "tip": ("#3A3A3F", "#2C2C2F"),
    "tip-text": ("#EDEDEF", "#EDEDEF"),
    # The same in both themes: what lies on images.
    "casing": ("#08080A", "#08080A"),
    "readout": ("#0C0C0E", "#0C0C0E"),
    "on-image": ("#FFFFFF", "#FFFFFF"),
    "badge": ("#1B1B1D", "#1B1B1D"),
}

# High contrast: the quiet greys give way to full text and visible borders.
_HIGH_CONTRAST = {
    "text-2": "text",
    "text-3": "text",
    "line": "outline",
    "raised-line": "outline",
    "track": "outline",
    "disabled": "outline",
}

# role: (size, line height, weight) in logical pixels at the system's base of 13
TYPE: dict[Role, tuple[int, int, QFont.Weight]] = {
    "display": (26, 34, QFont.Weight.DemiBold),
    "title": (15, 20, QFont.Weight.DemiBold),
    "subject": (13, 20, QFont.Weight.DemiBold),
    "section": (12, 16, QFont.Weight.DemiBold),
    "body": (12, 16, QFont.Weight.Normal),
    "name": (12, 16, QFont.Weight.Medium),
    "caption": (11, 14, QFont.Weight.Normal),
    "column": (11, 14, QFont.Weight.Medium),
}

ROW_TREE, ROW, CONTROL, CONTROL_DIALOG, HEADER, BAR, STATUS = 24, 28, 28, 32, 40, 40, 28
EDGE, GAP, SMALL, GROUP = 16, 8, 4, 16


class Theme(QObject):
    """Colours and fonts of the running program.

    Signals:
        changed: the scheme or a colour changed; repaint and rebuild what was derived.
    """

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._mode: Mode = "system"
        self._dark = True
        self._contrast = False
        self._applies: list[tuple[weakref.ref[QObject], Callable[[QObject], None]]] = []
        family = _bundled_family()
        base = QFont(app.font())
        self._scale = max(1.0, QFontInfo(base).pixelSize() / 13)
        if family:
            base.setFamilies([family, *base.families()])
        self._base = base
        app.setFont(self.font("body"))
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self._on_scheme)
        self._resolve()

    @property
    def dark(self) -> bool:
        """Whether the dark column of the table is in use."""
        return self._dark

    @property
    def mode(self) -> Mode:
        """What the user chose: the system's scheme, or one of the two."""
        return self._mode

    @property
    def scale(self) -> float:
        """The system's base font size as a multiple of 13 px, never below 1."""
        return self._scale

    def set_mode(self, mode: Mode) -> None:
        """Follow the system, or hold one scheme."""
        self._mode = mode
        scheme = {"dark": Qt.ColorScheme.Dark, "light": Qt.ColorScheme.Light}.get(mode, Qt.ColorScheme.Unknown)
        QGuiApplication.styleHints().setColorScheme(scheme)
        self._refresh()

    def hex(self, token: str) -> str:
        """Return the colour of `token` as ``#RRGGBB``."""
        if self._contrast:
            token = _HIGH_CONTRAST.get(token, token)
        return TOKENS[token][0 if self._dark else 1]

    def color(self, token: str, alpha: float = 1.0) -> QColor:
        """Return the colour of `token`; `alpha` in 0..1."""
        color = QColor(self.hex(token))
        color.setAlphaF(alpha)
        return color

    def font(self, role: Role) -> QFont:
        """Return the font of a type role, with tabular figures."""
        size, _line, weight = TYPE[role]
        font = QFont(self._base)
        font.setPixelSize(round(size * self._scale))
        font.setWeight(weight)
        font.setFeature(QFont.Tag("tnum"), 1)
        return font

    def px(self, value: float) -> int:
        """Return a length of the table in logical pixels of this system's text size."""
        return round(value * self._scale)

    def palette(self) -> QPalette:
        """Return the palette for what no style sheet reaches."""
        palette = QPalette()
        pairs = {
            QPalette.ColorRole.Window: "window",
            QPalette.ColorRole.WindowText: "text",
            QPalette.ColorRole.Base: "raised",
            QPalette.ColorRole.AlternateBase: "panel",
            QPalette.ColorRole.Text: "text",
            QPalette.ColorRole.Button: "raised",
            QPalette.ColorRole.ButtonText: "text",
            QPalette.ColorRole.BrightText: "on-accent",
            QPalette.ColorRole.Highlight: "accent",
            QPalette.ColorRole.HighlightedText: "on-accent",
            QPalette.ColorRole.Link: "accent-text",
            QPalette.ColorRole.LinkVisited: "accent-text",
            QPalette.ColorRole.PlaceholderText: "text-3",
            QPalette.ColorRole.ToolTipBase: "tip",
            QPalette.ColorRole.ToolTipText: "tip-text",
            QPalette.ColorRole.Mid: "line",
            QPalette.ColorRole.Accent: "accent",
        }
        for role, token in pairs.items():
            palette.setColor(role, self.color(token))
        for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, role, self.color("disabled"))
        return palette

    def bind(self, target: QObject, apply: Callable[[QObject], None]) -> None:
        """Call `apply(target)` now and after every change, for as long as `target` lives.

        `apply` must not hold `target` itself, or neither would ever be freed.
        """
        apply(target)
        self._applies.append((weakref.ref(target), apply))

    def _on_scheme(self, _scheme: Qt.ColorScheme) -> None:
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        before = (self._dark, self._contrast)
        self._resolve()
        if before == (self._dark, self._contrast):
            return
        self.apply()

    def apply(self) -> None:
        """Put palette and style sheet on the application, then tell everyone."""
        from camviewer.ui.style import style_sheet

        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setPalette(self.palette())
            app.setStyleSheet(style_sheet(self))
        alive = []
        for ref, apply in self._applies:
            target = ref()
            if target is not None and shiboken6.isValid(target):
                apply(target)
                alive.append((ref, apply))
        self._applies = alive
        self.changed.emit()

    def _resolve(self) -> None:
        hints = QGuiApplication.styleHints()
        if self._mode == "system":
            # Where the system does not say, dark: images are judged on a quiet ground.
            self._dark = hints.colorScheme() != Qt.ColorScheme.Light
        else:
            self._dark = self._mode == "dark"
        accessibility = getattr(hints, "accessibility", lambda: None)()
        preference = getattr(accessibility, "contrastPreference", lambda: None)()
        self._contrast = getattr(preference, "name", "") == "HighContrast"


_theme: Theme | None = None


def theme() -> Theme:
    """Return the one theme of the application, made at the first call."""
    global _theme
    if _theme is None or not shiboken6.isValid(_theme):
        app = QApplication.instance()
        if not isinstance(app, QApplication):
            raise RuntimeError("a QApplication must exist before the theme")
        app.setStyle("Fusion")
        _theme = Theme(app)
        _theme.apply()
    return _theme


def set_role(widget: QWidget, role: Role, color: str = "") -> None:
    """Give a widget a type role, and its text a token's colour (``text-2``, ``ok``, ...) that the style sheet knows."""
    widget.setFont(theme().font(role))
    if color:
        set_property(widget, "tint", color)


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a dynamic property that the style sheet selects on, and restyle the widget."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def _bundled_family() -> str:
    """Register the bundled interface font and return its family; empty where it is missing."""
    family = ""
    for path in sorted((resources_dir() / "fonts").glob("*.otf")):
        number = QFontDatabase.addApplicationFont(str(path))
        if number >= 0:
            families = QFontDatabase.applicationFontFamilies(number)
            family = families[0] if families else family
    return family
