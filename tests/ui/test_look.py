"""The look as data: tokens, contrast, icons, live switch."""

from __future__ import annotations

import re

import pytest
from PySide6.QtWidgets import QLabel

from camviewer.catalogue.actions import ACTIONS
from camviewer.ui import theme as looks
from camviewer.ui.icons import icon_names, icon_pixmap, icon_source
from camviewer.ui.style import style_sheet


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("column", [0, 1], ids=["dark", "light"])
@pytest.mark.parametrize("text", ["text", "text-2", "text-3", "accent-text", "ok", "warn", "bad"])
def test_text_reaches_aa_on_window_panel_and_raised(text: str, column: int) -> None:
    for ground in ("window", "panel", "raised"):
        assert contrast(looks.TOKENS[text][column], looks.TOKENS[ground][column]) >= 4.5, ground


@pytest.mark.parametrize("column", [0, 1], ids=["dark", "light"])
def test_text_on_the_primary_button_reaches_aa(column: int) -> None:
    assert contrast(looks.TOKENS["on-accent"][column], looks.TOKENS["accent"][column]) >= 4.5


def test_the_theme_switches_live_and_rebinds(qapp) -> None:
    theme = looks.theme()
    theme.set_mode("dark")
    seen = []
    target = QLabel()
    theme.bind(target, lambda _label: seen.append(theme.hex("text")))
    theme.set_mode("light")
    theme.set_mode("dark")
    dark, light = looks.TOKENS["text"]
    assert seen == [dark, light, dark]
    theme.set_mode("system")


def test_no_placeholder_is_left_in_the_style_sheet(qapp) -> None:
    assert not re.search(r"@\w+@", style_sheet(looks.theme()))


def test_every_icon_is_drawn_in_current_color_and_renders(qapp) -> None:
    for name in icon_names():
        assert "currentColor" in icon_source(name), name
        image = icon_pixmap(name, "text").toImage()
        assert any(image.pixelColor(x, y).alpha() > 0 for x in range(16) for y in range(16)), name


def test_actions_have_existing_icons_and_no_key_twice() -> None:
    keys = [key for spec in ACTIONS for key in spec.keys if key != "…"]
    assert len(keys) == len(set(keys))
    assert {spec.icon for spec in ACTIONS if spec.icon} <= set(icon_names())
    assert all(spec.tip for spec in ACTIONS)
