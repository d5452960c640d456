"""The welcome page: what the program does in three pictures, three ways to start, recent projects, a place to drop."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QFontMetrics, QImage, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from camviewer import __version__
from camviewer.paths import resources_dir
from camviewer.ui.controls import Button, ElidedLabel, label, name_control, surface
from camviewer.ui.icons import app_mark, icon_pixmap
from camviewer.ui.marks import KeyBadge
from camviewer.ui.qimage import rgb_image
from camviewer.ui.sections import ClickableCard
from camviewer.ui.settings import RecentProject
from camviewer.ui.theme import set_role, theme
from camviewer.workers.covers import PICTURES, Cover

DISCLAIMER = "For research and teaching. Not a medical device, not for diagnosis."

STEPS = (
    ("step-image.jpg", "An image", "synthetic, with ruler and dark corners"),
    ("step-map.jpg", "Where the model looks", "at the lesion, and at the corners"),
    ("step-mask.jpg", "A mask you have corrected", "ready for training"),
)


def when(seconds: float) -> str:
    """Return a past time for reading: ``Today, 14:02``, ``Yesterday``, ``17 November``."""
    if seconds <= 0:
        return ""
    moment, now = time.localtime(seconds), time.localtime()
    days = (time.mktime((*now[:3], 12, 0, 0, 0, 0, -1)) - time.mktime((*moment[:3], 12, 0, 0, 0, 0, -1))) / 86400
    if round(days) <= 0:
        return time.strftime("Today, %H:%M", moment)
    if round(days) == 1:
        return "Yesterday"
    text = f"{moment.tm_mday} {time.strftime('%B', moment)}"
    return text if moment.tm_year == now.tm_year else f"{text} {moment.tm_year}"


class _Step(QWidget):
    """One picture with its caption."""

    def __init__(self, picture: Path, title: str, text: str) -> None:
        super().__init__()
        self._pixmap = QPixmap(str(picture))
        self.setAccessibleName(f"{title}, {text}")
        # The three are equally wide, whatever their captions need.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self._frame = QWidget()
        self._frame.setMinimumHeight(120)
        layout.addWidget(self._frame, 1)
        words = QHBoxLayout()
        words.setSpacing(8)
        words.addWidget(label(title, "section"))
        words.addWidget(ElidedLabel(text, "body", "text-2", mode=Qt.TextElideMode.ElideRight), 1)
        layout.addLayout(words)

    def sizeHint(self) -> QSize:
        return QSize(345, 288)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        rect = QRectF(self._frame.geometry())
        clip = QPainterPath()
        clip.addRoundedRect(rect, 10, 10)
        painter.setClipPath(clip)
        _paint_filled(painter, self._pixmap, rect)
        painter.end()


class _RecentCard(QAbstractButton):
    """A project that was open before: name, counts, progress, when."""

    def __init__(self, project: RecentProject) -> None:
        super().__init__()
        self.project = project
        self.missing = not Path(project.path).exists()
        self._cover: list[QImage] = []
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(theme().px(64))
        words = "not found" if self.missing else f"{project.reviewed} of {project.images} reviewed"
        name_control(self, f"{project.name}, {words}", tip=project.path)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        project = self.project
        rect = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        if self.underMouse() or self.hasFocus():
            painter.setBrush(colors.color("hover"))
            painter.setPen(QPen(colors.color("accent-text"), 2) if self.hasFocus() else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(rect, 8, 8)
        plate = QRectF(rect.left() + 10, rect.center().y() - 20, 54, 40)
        self._paint_plate(painter, plate)
        x, right = plate.right() + 14, rect.right() - 14
        date = when(project.opened)
        painter.setFont(colors.font("body"))
        painter.setPen(colors.color("text-3"))
        metrics = QFontMetrics(colors.font("body"))
        date_width = metrics.horizontalAdvance(date)
        painter.drawText(QPointF(right - date_width, rect.top() + 24), date)
        name_font = colors.font("subject")
        room = int(right - date_width - 12 - x)
        name = QFontMetrics(name_font).elidedText(project.name, Qt.TextElideMode.ElideMiddle, room)
        painter.setFont(name_font)
        painter.setPen(colors.color("text-2" if self.missing else "text"))
        painter.drawText(QPointF(x, rect.top() + 24), name)
        painter.setFont(colors.font("body"))
        if self.missing:
            painter.drawPixmap(QPointF(x, rect.top() + 33), icon_pixmap("alert", "warn", density=2))
            painter.setPen(colors.color("warn"))
            painter.drawText(QPointF(x + 22, rect.top() + 45), "Project not found")
            painter.setPen(colors.color("accent-text"))
            painter.drawText(QPointF(right - metrics.horizontalAdvance("Locate…"), rect.top() + 45), "Locate…")
            painter.end()
            return
        painter.setPen(colors.color("text-2"))
        count = f"{project.images:,} images"
        painter.drawText(QPointF(x, rect.top() + 43), count)
        all_done = project.images > 0 and project.reviewed >= project.images
        painter.setPen(colors.color("ok" if all_done else "text-3"))
        words = "all reviewed" if all_done else f"{project.reviewed:,} reviewed"
        painter.drawText(QPointF(x + metrics.horizontalAdvance(count) + 12, rect.top() + 43), words)
        bar = QRectF(x, rect.bottom() - 10, right - x, 3)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("track"))
        painter.drawRoundedRect(bar, 1.5, 1.5)
        if project.images and project.reviewed:
            bar.setWidth(max(3.0, bar.width() * project.reviewed / project.images))
            painter.setBrush(colors.color("ok"))
            painter.drawRoundedRect(bar, 1.5, 1.5)
        painter.end()

    def set_cover(self, cover: Cover) -> None:
        """Show small pictures in the place of the folder."""
        self._cover = [rgb_image(pixels) for pixels in cover]
        self.update()

    def _paint_plate(self, painter: QPainter, plate: QRectF) -> None:
        colors = theme()
        painter.save()
        clip = QPainterPath()
        clip.addRoundedRect(plate, 6, 6)
        painter.setClipPath(clip)
        if self._cover and not self.missing:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            columns = 1 if len(self._cover) < PICTURES else 2
            size = QSizeF((plate.width() - columns + 1) / columns, (plate.height() - columns + 1) / columns)
            for number, picture in enumerate(self._cover[: columns * columns]):
                row, column = divmod(number, columns)
                corner = plate.topLeft() + QPointF(column * (size.width() + 1), row * (size.height() + 1))
                _paint_filled(painter, picture, QRectF(corner, size))
        else:
            painter.fillRect(plate, colors.color("raised" if colors.dark else "hover"))
            token = "text-3" if self.missing else "text-2"
            pixmap = icon_pixmap("folder", token, density=self.devicePixelRatioF())
            painter.drawPixmap(plate.center() - QPointF(8, 8), pixmap)
        painter.restore()


def _paint_filled(painter: QPainter, picture: QImage | QPixmap, frame: QRectF) -> None:
    """Fill `frame` with a picture, cut evenly where it has another shape."""
    source = QRectF(picture.rect())
    scale = max(frame.width() / source.width(), frame.height() / source.height())
    part = QRectF(QPointF(), frame.size() / scale)
    part.moveCenter(source.center())
    if isinstance(picture, QImage):
        painter.drawImage(frame, picture, part)
    else:
        painter.drawPixmap(frame, picture, part)


class DropZone(QWidget):
    """Where to drop files; the whole window takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(theme().px(52))
        self._text = "Or drop images, a folder, a checkpoint or a project here"
        self.setAccessibleName(self._text)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        pen = QPen(colors.color("outline"), 1)
        pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(2.5, 1.5, -2.5, -1.5), 9, 9)
        pixmap = icon_pixmap("drop", "text-2", density=self.devicePixelRatioF())
        painter.drawPixmap(QPointF(26, (self.height() - 16) / 2), pixmap)
        painter.setPen(colors.color("text-2"))
        painter.setFont(colors.font("body"))
        painter.drawText(self.rect().adjusted(68, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text)
        painter.end()


class WelcomePage(QWidget):
    """Shown while no project is open.

    Signals:
        demo_pressed, images_pressed, model_pressed, project_pressed, keys_pressed: the ways to start.
        recent_pressed: `RecentProject`.
        locate_pressed: `RecentProject` whose file is gone.
    """

    demo_pressed = Signal()
    images_pressed = Signal()
    model_pressed = Signal()
    project_pressed = Signal()
    keys_pressed = Signal()
    recent_pressed = Signal(object)
    locate_pressed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        surface(self, "window")
        self.setAccessibleName("Welcome")
        column = QWidget()
        column.setMaximumWidth(theme().px(1096))
        body = QVBoxLayout(column)
        body.setContentsMargins(24, 32, 24, 16)
        body.setSpacing(0)
        body.addStretch(1)
        body.addLayout(self._heading())
        pictures = self._pictures()
        if pictures is not None:
            body.addSpacing(24)
            body.addLayout(pictures)
        body.addSpacing(36)
        body.addLayout(self._lower())
        body.addStretch(2)

        center = QWidget()
        row = QHBoxLayout(center)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(column, 100)
        row.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(center)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 4, 16, 12)
        foot.setSpacing(8)
        foot.addWidget(label(DISCLAIMER, "body", "text-2"))
        foot.addStretch(1)
        foot.addWidget(label(f"Version {__version__}", "body", "text-2"))
        foot.addSpacing(8)
        keys = Button("Keys", "flat", tip="All keys on one page", key="F1")
        keys.clicked.connect(self.keys_pressed)
        foot.addWidget(keys)
        foot.addWidget(KeyBadge("F1"))
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(area, 1)
        page.addLayout(foot)

    def _heading(self) -> QHBoxLayout:
        mark = QLabel()
        mark.setPixmap(app_mark(52, density=2))
        mark.setAccessibleName("camviewer")
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(label("camviewer", "display"))
        quiet = label("See what a classifier looks at, and turn it into masks you can trust.", "body", "text-2")
        set_role(quiet, "subject", "text-2")
        font = theme().font("subject")
        font.setWeight(theme().font("body").weight())
        quiet.setFont(font)
        words.addWidget(quiet)
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addWidget(mark)
        row.addLayout(words, 1)
        return row

    def _pictures(self) -> QHBoxLayout | None:
        folder = resources_dir() / "demo"
        if not all((folder / name).is_file() for name, _, _ in STEPS):
            return None
        row = QHBoxLayout()
        row.setSpacing(6)
        for number, (name, title, text) in enumerate(STEPS):
            if number:
                arrow = QLabel()
                theme().bind(arrow, _arrow)
                row.addWidget(arrow)
            row.addWidget(_Step(folder / name, title, text), 1)
        return row

    def _lower(self) -> QHBoxLayout:
        start = QVBoxLayout()
        start.setSpacing(6)
        heading = label("Start", "subject")
        heading.setFixedHeight(theme().px(30))
        start.addWidget(heading)
        start.addSpacing(2)
        self.demo = ClickableCard(
            "demo",
            "Open the demo",
            "A small model and synthetic images, works offline at once",
            key="Enter",
            strong=True,
        )
        images = ClickableCard("image", "Open images", "A folder with everything below it", key="Ctrl+O")
        model = ClickableCard("model", "Open model", "A checkpoint file or a known network", key="Ctrl+M")
        self.demo.clicked.connect(self.demo_pressed)
        images.clicked.connect(self.images_pressed)
        model.clicked.connect(self.model_pressed)
        for card in (self.demo, images, model):
            start.addWidget(card)
        start.addWidget(DropZone())
        start.addStretch(1)

        recent = QVBoxLayout()
        recent.setSpacing(6)
        head = QHBoxLayout()
        head.addWidget(label("Recent projects", "subject"))
        head.addStretch(1)
        open_project = Button("Open project", "flat", icon_name="folder", tip="Open a project file", key="Ctrl+Alt+O")
        open_project.clicked.connect(self.project_pressed)
        head.addWidget(open_project)
        open_project.setFixedHeight(theme().px(30))
        recent.addLayout(head)
        recent.addSpacing(2)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(6)
        recent.addLayout(self._recent)
        recent.addStretch(1)
        row = QHBoxLayout()
        row.setSpacing(56)
        row.addLayout(start, 1)
        row.addLayout(recent, 1)
        return row

    def set_recent(self, projects: Sequence[RecentProject]) -> None:
        """List the recent projects, newest first."""
        while (item := self._recent.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        for project in projects[:5]:
            card = _RecentCard(project)
            card.clicked.connect(self._on_recent)
            self._recent.addWidget(card)
        if not projects:
            self._recent.addWidget(label("None yet. Every folder you open becomes a project.", "body", "text-3"))

    def set_covers(self, covers: Mapping[Path, Cover]) -> None:
        """Show pictures of the projects that are listed, by their files."""
        for number in range(self._recent.count()):
            item = self._recent.itemAt(number)
            card = item.widget() if item is not None else None
            if isinstance(card, _RecentCard):
                card.set_cover(covers.get(Path(card.project.path), ()))

    def focus_start(self) -> None:
        """Put the focus on the demo, so that Enter starts it."""
        self.demo.setFocus(Qt.FocusReason.OtherFocusReason)

    def _on_recent(self) -> None:
        card = self.sender()
        if isinstance(card, _RecentCard):
            (self.locate_pressed if card.missing else self.recent_pressed).emit(card.project)


def _arrow(target: object) -> None:
    if isinstance(target, QLabel):
        target.setPixmap(icon_pixmap("chevron-right", "text-3", density=2))
