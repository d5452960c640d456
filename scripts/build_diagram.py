"""Draw docs/images/architecture.svg from the imports: which room of the package uses which.

    python scripts/build_diagram.py

Rooms stand in layers, each above all that it imports. A test holds the picture current.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "camviewer"
TARGET = ROOT / "docs" / "images" / "architecture.svg"

HOLDS = {
    "ui": "the window",
    "workers": "jobs in threads",
    "commands": "the command line",
    "pipeline": "whole jobs",
    "training": "networks from images",
    "evaluation": "measures and controls",
    "cam": "the methods",
    "models": "networks, safely loaded",
    "formats": "what others read",
    "project": "records, undo, SQLite",
    "regions": "boxes, masks, edges",
    "images": "pixels, coordinates",
}
WIDTH, HEIGHT, GAP, ROW = 168, 52, 28, 112


def imports() -> dict[str, set[str]]:
    """Return which rooms each room imports, read from the source; lazy imports inside functions count."""
    found: dict[str, set[str]] = {room: set() for room in HOLDS}
    for room in HOLDS:
        for path in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                elif isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                else:
                    continue
                for name in names:
                    top, _, rest = name.partition(".")
                    other = rest.partition(".")[0]
                    if top == "camviewer" and other in HOLDS and other != room:
                        found[room].add(other)
    return found


def layers(uses: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms in layers, lowest first: each lies above all that it imports."""
    depth: dict[str, int] = {}

    def find(room: str) -> int:
        if room not in depth:
            depth[room] = 1 + max((find(other) for other in uses[room]), default=-1)
        return depth[room]

    for room in uses:
        find(room)
    return [[room for room in HOLDS if depth[room] == level] for level in range(max(depth.values()) + 1)]


def direct(uses: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the arrows without those that another path implies."""

    def reach(room: str) -> set[str]:
        return uses[room] | {further for other in uses[room] for further in reach(other)}

    return [
        (room, other)
        for room in uses
        for other in sorted(uses[room])
        if not any(other in reach(between) for between in uses[room] - {other})
    ]


def draw() -> str:
    """Return the picture."""
    uses = imports()
    rows = layers(uses)
    wide = max(len(row) for row in rows) * (WIDTH + GAP) + 5 * GAP
    high = len(rows) * ROW + 24
    place = {}
    for level, row in enumerate(rows):
        left = (wide - len(row) * (WIDTH + GAP) + GAP) / 2
        for index, room in enumerate(row):
            place[room] = (left + index * (WIDTH + GAP), high - (level + 1) * ROW + 24)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        'font-family="Inter, Helvetica, Arial, sans-serif">',
        "<title>Which room of camviewer imports which; arrows that others imply are left out</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 Z" fill="#6b7280"/></marker></defs>',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
    ]
    for room, other in direct(uses):
        x0, y0 = place[room][0] + WIDTH / 2, place[room][1] + HEIGHT
        x1, y1 = place[other][0] + WIDTH / 2, place[other][1] - 2
        middle = (y0 + y1) / 2
        if y1 - y0 > ROW:  # past the rooms between, on the outer side
            side = -1 if (x0 + x1) / 2 <= wide / 2 else 1
            x0, x1 = x0 + side * WIDTH * 0.4, x1 + side * WIDTH * 0.4
            parts.append(
                f'<path d="M{x0:.0f} {y0:.0f} C{x0 + side * WIDTH * 0.5:.0f} {y0 + ROW / 2:.0f} '
                f'{x1 + side * WIDTH * 0.35:.0f} {y1 - ROW / 2:.0f} {x1:.0f} {y1:.0f}" '
                'fill="none" stroke="#6b7280" stroke-width="1.3" marker-end="url(#tip)"/>'
            )
            continue
        parts.append(
            f'<path d="M{x0:.0f} {y0:.0f} C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}" '
            'fill="none" stroke="#6b7280" stroke-width="1.3" marker-end="url(#tip)"/>'
        )
    for room, (x, y) in place.items():
        parts += [
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#eef1fb" stroke="#3e4f8a"/>',
            f'<text x="{x + WIDTH / 2:.0f}" y="{y + 22:.0f}" text-anchor="middle" font-size="14" font-weight="600" '
            f'fill="#1f2937">{escape(room)}</text>',
            f'<text x="{x + WIDTH / 2:.0f}" y="{y + 40:.0f}" text-anchor="middle" font-size="12" fill="#4b5563">'
            f"{escape(HOLDS[room])}</text>",
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> int:
    """Write the picture."""
    TARGET.write_text(draw(), encoding="utf-8")
    print(TARGET.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
