"""Write the pages of docs/ that are built from the code: methods, keys, options. A test holds them current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from camviewer import app  # noqa: E402
from camviewer.catalogue.actions import ACTIONS  # noqa: E402
from camviewer.catalogue.methods import METHODS  # noqa: E402
from camviewer.catalogue.parameters import Parameter  # noqa: E402
from camviewer.cli import build_parser  # noqa: E402

NOTE = "<!-- Written by scripts/build_docs.py from tables of the code; edit them there. -->"

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


AFTERWORD = """
## Several machines

`explain --engine ray` (`pip install camviewer[ray]`) gives the images out over a Ray cluster in the groups that one machine would form;
each of its processes loads the network once. `RAY_ADDRESS` names a cluster, whose machines have to see images and weights under the
same path; without it one is started on this machine, with a token of its own, and ended afterwards. The files are those of
`--engine local`; maps differ by rounding alone, at most 1e-5 of an image's largest value in the tests. A process that dies is replaced and its group
computed again.

## A network of your own

`--model net.py --weights FILE --trust-code` takes what `build()` in `net.py` returns, a `torch.nn.Module`, and loads the
weights into it. That runs the file's code: without `--trust-code` nothing of it runs, and the answer names its path and
SHA-256. What the weights do not say themselves stands in a file `net.json` beside it, or in the options:

```json
{"classes": ["benign", "melanoma"], "input_size": [224, 224], "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
```

`input_size` is one side, or width and height. `channels` (1, 3 or 4), `interpolation` and `activation` (`softmax`, or
`sigmoid` for a network whose classes do not exclude each other) may stand there too. The scores may come in a tuple or a
dict, as `logits` or first.

## explain.json

`explain` writes `explain.json` into `--out`: `{"schema": 1, "run": {...}, "images": [...]}`. All paths in it are relative
to its folder. `run` holds every field that makes the result reproducible. A row of `images`:

| Field | What |
|---|---|
| `file` | path relative to the input it came from |
| `width`, `height` | upright image, in pixels |
| `top` | best classes: `index`, `name`, `logit`, `probability` |
| `maps` | each: `id`, `class_index`, `method`, `layer`, `file` (raw float32 `.npy` at the layer's resolution), `shape`, `to_image` (2x3 affine from the centre of cell (column, row) to image pixels), `flags` where there is something to know, such as `signed tap`; `three_valued` with `--save three-valued` (grey PNG: 0, class index + 1, 255 to ignore) |
| `boxes` | each: `map` (id), `xyxy` (half-open pixel edges), `class_index`, `score` (mean of the map inside over its maximum), `probability` |
| `masks` | each: `map`, `class_index`, `file` (grey PNG, 0 and 255, full size), `refine` (what drew it), `xyxy` and `score` of the box around it, `doubt`, `findings`; `reason` when it is empty |
| `mask` | file of the first mask, or null |
| `refused` | only where a method that was asked for (`run.methods`) has no map, because network or layer do not have it: each `method`, `reason` |
| `error` | instead of all but `file`: `kind` and `message`; the other images go on, and the exit status is 1 |

Coordinates are pixel *edges* of the upright image: the centre of the first pixel is (0.5, 0.5).

Exit status: 0, 1 when something failed on the way, 2 for wrong arguments, 130 after Ctrl-C.
"""


def options(parser: argparse.ArgumentParser) -> list[str]:
    """Return a table of what a parser takes."""
    lines = ["| Option | |", "|---|---|"]
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or action.dest == "help" or isinstance(action, argparse._SubParsersAction):
            continue
        value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
        if action.option_strings:
            takes = action.nargs != 0
            value = value or (action.dest.upper() if takes else "")
            head = ", ".join(action.option_strings) + (f" {value}" if takes else "")
        else:
            head = str(value or action.dest.upper())
        words = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
        cells = (cell.replace("|", "\\|") for cell in (f"`{head}`", words))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def command_line_page() -> str:
    """Return docs/command-line.md."""
    parser = build_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    shown = {entry.dest: entry.help or "" for entry in commands._choices_actions}
    lines = [
        "# Command line",
        "",
        NOTE,
        "",
        "`camviewer-cli COMMAND`, or `camviewer COMMAND`; no display is needed. Options that take several values may be",
        "repeated or comma-separated. Without a command `camviewer-cli` takes",
        "",
        *options(parser),
        "",
        "## The window",
        "",
        "`camviewer` without a command opens the window. It takes the options above, and",
        "",
        *options(app.build_parser()),
    ]
    for name, command in commands.choices.items():
        lines += ["", f"## {name}", "", shown.get(name, ""), "", *options(command)]
    return "\n".join(lines) + "\n" + AFTERWORD


PAGES = {"methods.md": methods_page, "keys.md": keys_page, "command-line.md": command_line_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
