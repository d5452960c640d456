"""The style sheet of the application, built from the theme's table.

Dynamic properties select variants: ``kind`` of buttons (``primary``, ``tool``, ``link``), ``tint`` of labels (a
colour token), ``surface`` of containers (``window``, ``panel``, ``raised``, ``canvas``), ``invalid`` of inputs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from camviewer.paths import resources_dir
from camviewer.ui.icons import icon_source
from camviewer.ui.theme import TOKENS, Theme

_SURFACES = ("window", "panel", "raised", "canvas")
_TINTS = ("text", "text-2", "text-3", "disabled", "accent-text", "ok", "warn", "bad")

# One folder of recoloured icons a process: style sheets only take pictures from files.
_folder: tempfile.TemporaryDirectory[str] | None = None


def _picture(theme: Theme, name: str, token: str) -> str:
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="camviewer-style-", ignore_cleanup_errors=True)
    color = theme.hex(token)
    path = Path(_folder.name) / f"{name}-{color[1:]}.svg"
    if not path.exists():
        path.write_text(icon_source(name).replace("currentColor", color), encoding="utf-8")
    return path.as_posix()


def style_sheet(theme: Theme) -> str:
    """Return the style sheet for the theme's present colours."""
    values = {name.replace("-", "_"): theme.hex(name) for name in TOKENS}
    values |= {
        "check_mark": _picture(theme, "check", "on-accent"),
        "check_line": _picture(theme, "minus", "on-accent"),
        "chevrons": _picture(theme, "chevrons", "text-2"),
        "chevrons_off": _picture(theme, "chevrons", "disabled"),
        "up": _picture(theme, "chevron-up", "text-2"),
        "down": _picture(theme, "chevron-down", "text-2"),
        "right": _picture(theme, "chevron-right", "text-2"),
        "menu_check": _picture(theme, "check", "accent-text"),
        "control": str(theme.px(28) - 2),
        "control_focused": str(theme.px(28) - 4),  # the ring is 1 px wider than the line, the field is not
        "row": str(theme.px(28)),
        "tree_row": str(theme.px(24)),
    }
    sheet = (resources_dir() / "style" / "camviewer.qss").read_text(encoding="utf-8")
    for key, value in values.items():
        sheet = sheet.replace(f"@{key}@", value)
    sheet += "".join(f'QWidget[surface="{name}"] {{ background: {theme.hex(name)}; }}\n' for name in _SURFACES)
    sheet += "".join(f'QLabel[tint="{name}"] {{ color: {theme.hex(name)}; }}\n' for name in _TINTS)
    return sheet
