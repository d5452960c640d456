"""The documentation stays true: built pages are current, links lead somewhere, the README's commands exist."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from camviewer.catalogue.actions import ACTIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", ["methods.md", "keys.md", "command-line.md"])
def test_built_pages_are_current(name: str) -> None:
    pages = runpy.run_path(str(ROOT / "scripts" / "build_docs.py"))["PAGES"]
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == pages[name](), "run scripts/build_docs.py"


def test_every_option_says_what_it_is_for() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.*)` \|(.*)\|$", page, re.MULTILINE)
    assert len(rows) > 200
    assert [option for option, words in rows if not words.strip()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) + pictures:
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_opens_with_the_two_commands_and_a_picture() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.index("sh scripts/run.sh")
    assert start < text.index("sh scripts/test.sh") < text.index("<picture>") < 700


def test_constraints_name_versions_and_no_address() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert (
            not line
            or line.startswith("#")
            or re.fullmatch(r"[\w.-]+==[\w.]+(; python_version [<>=]+ \"3\.\d+\")?", line)
        )


def test_the_diagram_of_the_architecture_is_current() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "build_diagram.py"))["draw"]()
    assert (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8") == made, (
        "run scripts/build_diagram.py"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_menus_and_keys_exist(page: Path) -> None:
    """``*Menu, Entry*`` and ``**Key**`` are what the window has."""
    text = re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))
    entries = {f"{action.menu}, {action.text}".rstrip("…") for action in ACTIONS}
    menus = "|".join({action.menu for action in ACTIONS if action.menu})
    assert {entry.rstrip("…") for entry in re.findall(rf"\*((?:{menus}), [^*]+)\*", text)} <= entries
    known = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    for key in re.findall(r"\*\*((?:(?:Ctrl|Alt|Shift)\+)+\w+|[A-Z])\*\*", text):
        assert f"`{key}`" in known, key


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [
        page.name for page in (ROOT / "docs").glob("*.md") if page.name != "README.md" and page.name not in index
    ]
    assert not missing
