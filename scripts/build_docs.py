"""Write the pages of docs/ that are built from the catalogue's tables: methods and keys. A test holds them current."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from camviewer.catalogue.actions import ACTIONS  # noqa: E402
from camviewer.catalogue.methods import METHODS  # noqa: E402
from camviewer.catalogue.parameters import Parameter  # noqa: E402

NOTE = "<!-- Written by scripts/build_docs.py from camviewer/catalogue; edit the tables there. -->"

NEEDS = {
    "head": "the linear head: global pooling and one linear layer",
    "activations": "activations alone",
    "gradients": "gradients of the class score",
    "passes": "a forward pass for each channel",
    "nothing": "nothing of the network",
}


def _range(parameter: Parameter) -> str:
    if parameter.kind == "choice":
        return ", ".join(parameter.choices)
    if parameter.kind == "bool":
        return "on, off"
    low = "" if parameter.minimum is None else f"{parameter.minimum:g}"
    high = "" if parameter.maximum is None else f"{parameter.maximum:g}"
    return f"{low} … {high}{' ' + parameter.unit if parameter.unit else ''}"


def methods_page() -> str:
    """Return docs/methods.md."""
    lines = [
        "# Methods",
        "",
        NOTE,
        "",
        "`A` activations of the tapped layer, `w` final linear weights, `S` logit, `G = dS/dA`, `g` its cells,",
        "`Z` cells of the map, `X` the normalised input. A signed map keeps negative evidence.",
        "[maps.md](maps.md) says how to read them.",
        "",
    ]
    for spec in METHODS:
        lines += [
            f"## {spec.title}",
            "",
            f"`--method {spec.name}` · {'signed' if spec.signed else 'positive part only'} · needs {NEEDS[spec.needs]}",
            "",
            f"    {spec.formula}",
            "",
            f"{spec.shows} {spec.paper}.",
            "",
        ]
        if spec.parameters:
            lines += ["| Parameter | Default | Values | |", "|---|---|---|---|"]
            lines += [f"| `{spec.name}.{p.name}` | {p.default} | {_range(p)} | {p.help} |" for p in spec.parameters]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def keys_page() -> str:
    """Return docs/keys.md."""
    lines = ["# Keys", "", NOTE, "", "| Key | Does |", "|---|---|"]
    for action in ACTIONS:
        if action.keys:
            keys = ", ".join(f"`{key}`" for key in action.keys)
            lines.append(f"| {keys} | {action.tip} |")
    return "\n".join(lines) + "\n"


PAGES = {"methods.md": methods_page, "keys.md": keys_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
