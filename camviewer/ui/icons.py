"""Icons: SVG files drawn in ``currentColor``, recoloured from the theme at any size and density."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QObject, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from camviewer.paths import resources_dir
from camviewer.ui.theme import theme


def icon_names() -> list[str]:
    """Return the names of all icons, sorted."""
    return sorted(path.stem for path in (resources_dir() / "icons").glob("*.svg"))


@lru_cache(maxsize=256)
def icon_source(name: str) -> str:
    """Return the SVG text of an icon.

    Raises:
        FileNotFoundError: when there is no icon of this name.
    """
    return (resources_dir() / "icons" / f"{name}.svg").read_text(encoding="utf-8")


@lru_cache(maxsize=1024)
def _render(name: str, color: str, size: float, density: float) -> QPixmap:
    pixmap = QPixmap(QSize(round(size * density), round(size * density)))
    pixmap.fill(Qt.GlobalColor.transparent)
    renderer = QSvgRenderer(QByteArray(icon_source(name).replace("currentColor", color).encode()))
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, pixmap.width(), pixmap.height()))
    painter.end()
    pixmap.setDevicePixelRatio(density)
    return pixmap


def icon_pixmap(name: str, token: str = "text-2", *, size: int = 16, density: float = 1.0) -> QPixmap:
    """Return an icon as a pixmap in the colour of a theme token, for painting in delegates.

    Args:
        token: colour token, or a colour as ``#RRGGBB``.
        size: side in logical pixels.
        density: device pixel ratio of where it is painted.
    """
    color = token if token.startswith("#") else theme().hex(token)
    return _render(name, color, size, density)


class _Engine(QIconEngine):
    """Draws an icon when it is first shown, at the size, density and state that are asked for."""

    def __init__(self, name: str, colors: tuple[str, str, str]) -> None:
        super().__init__()
        self._name = name
        self._colors = colors  # off, on, disabled

    def _color(self, mode: QIcon.Mode, state: QIcon.State) -> str:
        off, on, disabled = self._colors
        if mode == QIcon.Mode.Disabled:
            return disabled
        return on if state == QIcon.State.On else off

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        side = min(rect.width(), rect.height())
        pixmap = _render(self._name, self._color(mode, state), side, painter.device().devicePixelRatioF())
        painter.drawPixmap(rect.center() - QRect(0, 0, side, side).center(), pixmap)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        return self.scaledPixmap(size, mode, state, 1.0)

    def scaledPixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float) -> QPixmap:
        # `size` is in device pixels here.
        side = min(size.width(), size.height())
        return _render(self._name, self._color(mode, state), side / scale, scale)

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._colors)


def icon(name: str, token: str = "text-2", *, on: str = "accent-text") -> QIcon:
    """Return an icon in the colour of `token`, greyed when disabled and in the colour of `on` when checked.

    It is a drawing, not a set of pictures: nothing is rendered before it is on the screen.
    """
    colors = theme()
    return QIcon(_Engine(name, (colors.hex(token), colors.hex(on), colors.hex("disabled"))))


def set_icon(target: QObject, name: str, token: str = "text-2", *, size: int = 16, on: str = "accent-text") -> None:
    """Give a button or an action an icon that changes with the theme, for as long as the target lives."""

    def apply(widget: QObject) -> None:
        widget.setIcon(icon(name, token, on=on))  # type: ignore[attr-defined]
        if hasattr(widget, "setIconSize"):
            widget.setIconSize(QSize(size, size))

    theme().bind(target, apply)


def app_icon() -> QIcon:
    """Return the program's mark: three contour lines around a bright peak."""
    result = QIcon()
    for path in sorted((resources_dir() / "app").glob("camviewer-*.png")):
        result.addFile(str(path))
    return result


def app_mark(size: int, *, density: float = 1.0) -> QPixmap:
    """Return the program's mark as a pixmap with a side of `size` logical pixels."""
    pixmap = QPixmap(QSize(round(size * density), round(size * density)))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(str(resources_dir() / "app" / "camviewer.svg")).render(painter)
    painter.end()
    pixmap.setDevicePixelRatio(density)
    return pixmap
