"""Help: keys, about, the log."""

from __future__ import annotations

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices

from camviewer.paths import log_dir
from camviewer.ui.bench import Bench


class Helping(QObject):
    """Opens what explains the program."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        on = bench.actions.connect
        on("keys", bench.dialogs.keys)
        on("about", bench.dialogs.about)
        on("show_log", lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(log_dir()))))
        bench.welcome.keys_pressed.connect(bench.dialogs.keys)
