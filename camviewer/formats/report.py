"""The HTML report: one page for people, with everything in it and no scripts.

Pictures are small, embedded, and share one budget of bytes: with many images each gets smaller. Regions are drawn over
the image as outlines, dashed where no person touched them. The page follows the reader's light or dark scheme.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camviewer import __version__
from camviewer.catalogue.parameters import Value
from camviewer.errors import ImageError
from camviewer.formats.records import Context, Item, ItemBox, ItemMap, ItemMask, Loss, Writer, rule_words
from camviewer.formats.report_style import ALERT, CHECK, MARK, STYLE
from camviewer.formats.strict_json import finite
from camviewer.images.colormaps import table
from camviewer.images.thumbnails import read_thumbnail
from camviewer.project.records import BoolMask

DISCLAIMER = "For research and teaching. Not a medical device, not for diagnosis."
NAME = "report.html"

_HEAT_SIDE = 128
_HEAT_LEVELS = 48
_LARGEST_OPACITY = 0.8
_CLASSES_SHOWN = 5
_STATUS = {
    "new": "New",
    "computed": "Not reviewed",
    "edited": "Edited, not reviewed",
    "reviewed": "Reviewed",
    "skipped": "Skipped",
    "failed": "Failed",
    "unreviewed": "Not reviewed",
}


class ReportWriter(Writer):
    """Writes ``report.html``; the head, which counts the images, is written at the end."""

    places_images = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._colours = {entry.id: entry.colour for entry in context.categories}
        self._budget = int(context.options.get("size", 48)) * 1_000_000 // max(context.total, 1)
        self._images = self._reviewed = 0
        self._predicted: dict[str, int] = {}
        self._body = context.output.spool()

    def add(self, item: Item) -> None:
        self.context.output.spill(NAME, self._body, self._article(item).encode("utf-8", "replace"))
        self._images += 1
        self._reviewed += item.reviewed
        if item.top:
            self._predicted[item.top[0][1]] = self._predicted.get(item.top[0][1], 0) + 1

    def close(self) -> None:
        output = self.context.output
        output.append(NAME, self._head().encode("utf-8", "replace"))
        output.unspool(NAME, self._body)
        output.append(NAME, self._foot().encode())

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._body.close()

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        return Loss(len(item.masks) + len(item.boxes))

    # The page

    def _head(self) -> str:
        context = self.context
        title = context.source.removesuffix(".camviewer") or "Images"
        waiting = self._images - self._reviewed
        if waiting:
            verb = "is" if waiting == 1 else "are"
            words = f"{waiting} of {_count(self._images, 'image')} {verb} not reviewed: computed, not confirmed."
            banner = f'<p class="banner">{ALERT}<span>{words}</span></p>'
        else:
            banner = f'<p class="banner ok">{CHECK}<span>{_count(self._images, "image")} reviewed.</span></p>'
        made = f"{_count(self._images, 'image')}, {context.created[:10]}, camviewer {__version__}"
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
            "style-src 'unsafe-inline'\">"
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{_text(title)}: camviewer report</title><style>{STYLE}</style></head><body>"
            f'{_gradient(str(context.options.get("colours", "viridis")))}<div class="top"><p class="brand">{MARK}'
            f'<span>camviewer report</span><span class="quiet">{DISCLAIMER}</span></p>'
            f'<h1>{_text(title)}</h1><p class="quiet">{made}</p>'
            f"{banner}{self._sums()}</div><main>\n"
        )

    def _sums(self) -> str:
        parts = []
        if self.context.runs:
            parts.append(f"<section><h3>Model</h3>{_facts(_run_facts(self.context.runs))}</section>")
        if self._predicted:
            largest = max(self._predicted.values())
            rows = "".join(
                f"<tr><td>{_text(name)}</td>{_meter(number / largest)}<td class=number>{number}</td></tr>"
                for name, number in sorted(self._predicted.items(), key=lambda pair: (-pair[1], pair[0]))
            )
            heading = 'Predicted <span class="quiet">images by first class</span>'
            parts.append(f"<section><h3>{heading}</h3><table>{rows}</table></section>")
        return f'<div class="sums">{"".join(parts)}</div>' if parts else ""

    def _foot(self) -> str:
        return f"</main><footer><p>{DISCLAIMER}</p></footer></body></html>\n"

    # One image

    def _article(self, item: Item) -> str:
        number = self._images + 1
        name = _text(item.file)
        badges = [
            f'<span class="badge reviewed">{CHECK}Reviewed</span>'
            if item.reviewed
            else f'<span class="badge">{ALERT}{_STATUS.get(item.status, "Not reviewed")}</span>'
        ]
        badges += [f'<span class="badge plain">{_text(flag)}</span>' for flag in item.flags]
        if item.split:
            badges.append(f'<span class="badge plain">{item.split}</span>')
        head = f"<h2>{name}</h2>{''.join(badges)}"
        facts = [self._classes(item), self._regions(item)]
        if item.note:
            facts.append(f'<section><h3>Note</h3><p class="note">{_text(item.note)}</p></section>')
        return (
            f'<article id="image-{number}"><header>{head}</header>{self._pictures(item, number)}'
            f'<div class="facts">{"".join(facts)}</div></article>\n'
        )

    def _pictures(self, item: Item, number: int) -> str:
        side = int(self.context.options.get("side", 360))
        thumbnail = None
        if item.source is not None:
            with contextlib.suppress(ImageError):
                thumbnail = read_thumbnail(item.source, side=side)
        width, height = item.size
        if thumbnail is None:
            image = f'<rect width="{width}" height="{height}" fill="var(--canvas)"/>'
            shared = image
            image += _words(item, "The image is not where it was", "var(--text-2)")
        else:
            data = _jpeg_within(thumbnail, max(self._budget * 3 // 5, 1500))
            image = (
                f'<image id="i{number}" width="{width}" height="{height}" preserveAspectRatio="none" href="{data}"/>'
            )
            shared = f'<use href="#i{number}"/>'  # one copy serves all pictures of an image
        figures = [_figure(item, image, "Image", f"{width} × {height}", "")]
        if item.maps:
            figures.append(self._map_figure(item, item.maps[0], shared))
        outlines = "".join(self._outlines(item, max(*(thumbnail.shape[:2] if thumbnail is not None else (side,)), 1)))
        count = _count(sum(bool(mask.pixels.any()) for mask in item.masks) + len(item.boxes), "region")
        figures.append(_figure(item, shared + outlines, "Regions", count, ""))
        return f'<div class="pictures">{"".join(figures)}</div>'

    def _map_figure(self, item: Item, found: ItemMap, shared: str) -> str:
        values = np.nan_to_num(np.asarray(found.values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        low, peak = float(values.min()), float(values.max())
        caption = f"{_method_title(found.method)}, {found.layer}"
        width, height = item.size
        if peak <= 0:
            dimmed = f'{shared}<rect width="{width}" height="{height}" fill="#0C0C0E" fill-opacity=".6"/>' + _words(
                item, "No positive evidence", "#fff"
            )
            return _figure(item, dimmed, self.context.name_of(found.class_id), caption, "")
        name = str(self.context.options.get("colours", "viridis"))
        heat = (
            f'<image width="{width}" height="{height}" preserveAspectRatio="none" '
            f'href="{_heat(found, peak, name, limit=max(self._budget // 5, 800))}"/>'
        )
        cut = next((mask.rule for mask in item.masks if mask.class_id == found.class_id and mask.rule), "")
        bar = _scale(low, peak, cut)
        return _figure(item, shared + heat, self.context.name_of(found.class_id), caption, bar)

    def _outlines(self, item: Item, side: int) -> Iterable[str]:
        for mask in item.masks:
            # A tenth, since casing and line each hold it.
            path = _path(mask.pixels, side, max(self._budget // 10, 400))
            if path:
                yield self._stroke(f'<path d="{path}"', mask.class_id, mask.reviewed)
        for box in item.boxes:
            x0, y0, x1, y1 = box.xyxy
            shape = f'<rect x="{x0:g}" y="{y0:g}" width="{max(x1 - x0, 0):g}" height="{max(y1 - y0, 0):g}"'
            yield self._stroke(shape, box.class_id, box.reviewed, kind="outline box")

    def _stroke(self, shape: str, class_id: int, reviewed: bool, *, kind: str = "outline") -> str:
        colour = _colour(self._colours.get(class_id, "#FFFFFF"))
        style = kind if reviewed else f"{kind} auto"
        return f'{shape} class="casing"/>{shape} class="{style}" stroke="{colour}"/>'

    def _classes(self, item: Item) -> str:
        if not item.top:
            return ""
        rows = []
        for i, (class_id, name, probability) in enumerate(item.top[:_CLASSES_SHOWN]):
            value = finite(probability)
            swatch = (
                f'<span class="swatch" style="background:{_colour(self._colours.get(class_id, "#FFFFFF"))}"></span>'
            )
            number = "" if value is None else f"{100 * value:.1f} %"
            bar = _meter(value or 0.0, chosen=i == 0)
            first = ' class="first"' if i == 0 else ""
            rows.append(f"<tr{first}><td>{swatch}{_text(name)}</td>{bar}<td class=number>{number}</td></tr>")
        note = "uncalibrated" if item.temperature is None else f"temperature {item.temperature:.2f}"
        return f'<section><h3>Classes <span class="quiet">{note}</span></h3><table>{"".join(rows)}</table></section>'

    def _regions(self, item: Item) -> str:
        rows = []
        pixels = item.size[0] * item.size[1]
        for mask in item.masks:
            area = int(np.count_nonzero(mask.pixels))
            if area or not item.boxes:
                rows.append(self._row(mask, f"{100 * area / pixels:.1f} %" if area else "empty", _about(mask)))
        for box in item.boxes:
            x0, y0, x1, y1 = box.xyxy
            share = max(x1 - x0, 0) * max(y1 - y0, 0) / pixels
            rows.append(self._row(box, f"{100 * share:.1f} %", "box"))
        if not rows:
            return "<section><h3>Regions</h3><p class=quiet>No regions.</p></section>"
        head = "<tr><th>Region<th>How<th class=number>Score<th class=number>Area</tr>"
        return f"<section><h3>Regions</h3><table>{head}{''.join(rows)}</table></section>"

    def _row(self, region: ItemMask | ItemBox, area: str, about: str) -> str:
        score = finite(region.score)
        number = "" if score is None else f"{score:.2f}"
        name = self.context.name_of(region.class_id) if region.class_id else "no class"
        swatch = (
            f'<span class="swatch" style="background:{_colour(self._colours.get(region.class_id, "#FFFFFF"))}"></span>'
        )
        return f"<tr><td>{swatch}{_text(name)}<td>{_text(about)}<td class=number>{number}<td class=number>{area}</tr>"


# Words and numbers


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _number(value: float) -> str:
    text = f"{value:.3g}" if abs(value) < 1e6 else f"{value:.2e}"
    return text.replace("-", "−")


def _colour(text: str) -> str:
    """Return a colour of the class table, or white where it is none: it goes into the page as it is."""
    digits = text.removeprefix("#")
    return text if len(digits) == 6 and all(digit in "0123456789abcdefABCDEF" for digit in digits) else "#FFFFFF"


def _method_title(name: str) -> str:
    from camviewer.catalogue.methods import METHODS

    return next((spec.title for spec in METHODS if spec.name == name), name)


def _about(mask: ItemMask) -> str:
    if mask.reviewed and not mask.method and not mask.rule:
        return "by a person"
    parts = [_method_title(mask.method) if mask.method else "", mask.layer, mask.rule]
    parts.append(mask.refine if mask.refine not in {"none", ""} else "")
    doubt = finite(mask.doubt)
    parts.append("" if doubt is None or mask.reviewed else f"doubt {doubt:.2f}")
    return ", ".join(part for part in parts if part) or "automatic"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{_text(key)}</dt><dd>{_text(value)}</dd>' for key, value in rows if value)}</dl>"


def _run_facts(runs: tuple[dict[str, Any], ...]) -> list[tuple[str, str]]:
    """Return what the newest run says of itself; older ones are counted."""
    run = runs[-1]
    digest = str(run.get("weights_sha256") or "")
    weights = str(run.get("weights") or "").replace("\\", "/").rsplit("/", 1)[-1]
    rule = rule_words(str(run.get("rule")), float(run.get("threshold") or 0))
    versions = run.get("versions") or {}
    return [
        ("Architecture", str(run.get("architecture") or "")),
        ("Weights", weights),
        ("SHA-256", digest[:16]),
        ("Methods", ", ".join(_method_title(str(name)) for name in run.get("methods") or ())),
        ("Layers", ", ".join(str(name) for name in run.get("layers") or ())),
        ("Threshold", rule),
        ("Refinement", "" if run.get("refine") in {None, "none"} else str(run.get("refine"))),
        ("Cell offset", str(run.get("offset") or "")),
        ("Device", f"{run.get('device')}, {run.get('precision')}"),
        ("torch", str(versions.get("torch") or "")),
        ("Earlier runs", str(len(runs) - 1) if len(runs) > 1 else ""),
    ]


# Pictures


def _figure(item: Item, content: str, title: str, about: str, below: str) -> str:
    width, height = item.size
    label = _text(f"{title}, {about}")
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{content}</svg>'
        f'<figcaption><span>{_text(title)}</span><span class="quiet">{_text(about)}</span></figcaption>{below}</figure>'
    )


def _words(item: Item, words: str, fill: str) -> str:
    size = max(item.size) / 18
    return f'<text x="50%" y="50%" text-anchor="middle" fill="{fill}" font-size="{size:.1f}">{words}</text>'


def _meter(share: float, *, chosen: bool = False) -> str:
    colour = "accent-line" if chosen else "bar"
    return (
        '<td class="meter"><svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="100" height="4" fill="var(--track)"/>'
        f'<rect width="{100 * min(max(share, 0), 1):.1f}" height="4" fill="var(--{colour})"/></svg></td>'
    )


def _data(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _jpeg_within(pixels: NDArray[np.uint8], limit: int) -> str:
    """Return a JPEG as a data URI of at most `limit` bytes, or as small as it can still be seen (32 pixels)."""
    image = Image.fromarray(pixels)
    for scale, quality in ((1.0, 85), (1.0, 72), (0.75, 75), (0.55, 72), (0.4, 70), (0.3, 65), (0.2, 60), (0.1, 55)):
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        small = image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality, optimize=True)
        if len(buffer.getvalue()) * 4 // 3 <= limit or max(size) <= 32:
            break
    return _data("jpeg", buffer.getvalue())


def _heat(found: ItemMap, peak: float, name: str, *, limit: int) -> str:
    """Return the positive part of a map as a PNG whose opacity grows with the value, as a data URI."""
    values = np.maximum(found.geometry.upsample(found.values), 0)
    side = max(values.shape)
    for target in (_HEAT_SIDE, 64, 32, 16):
        scale = min(1.0, target / side)
        size = (max(round(values.shape[1] * scale), 1), max(round(values.shape[0] * scale), 1))
        small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        # Few levels: the page holds thousands of these, and a browser smooths them anyway.
        levels = np.clip(np.rint(small * ((_HEAT_LEVELS - 1) / peak)), 0, _HEAT_LEVELS - 1).astype(np.uint8)
        image = Image.fromarray(levels).convert("P")
        picked = table(name)[np.linspace(0, 255, _HEAT_LEVELS).round().astype(int)]
        image.putpalette(picked.astype(np.uint8).tobytes())
        alpha = bytes(round(255 * _LARGEST_OPACITY * (i / (_HEAT_LEVELS - 1)) ** 0.7) for i in range(_HEAT_LEVELS))
        buffer = io.BytesIO()
        image.save(buffer, "PNG", transparency=alpha, optimize=True)
        if len(buffer.getvalue()) * 4 // 3 <= limit:
            break
    return _data("png", buffer.getvalue())


def _gradient(name: str) -> str:
    """Return the colours of the bars, once for the page."""
    colours = table(name)[np.linspace(0, 255, 17).round().astype(int)]
    stops = "".join(
        f'<stop offset="{i / 16:g}" stop-color="#{red:02x}{green:02x}{blue:02x}"/>'
        for i, (red, green, blue) in enumerate(colours)
    )
    return (
        '<svg width="0" height="0" style="position:absolute" aria-hidden="true">'
        f'<linearGradient id="colours">{stops}</linearGradient></svg>'
    )


def _scale(low: float, peak: float, cut: str) -> str:
    """Return the colour bar in raw values: grey below zero, the threshold as a tick where it is a share of the peak."""
    below = max(-low, 0.0)
    zero = 100 * below / (below + peak)
    parts = [f'<rect width="{zero:.2f}" height="10" fill="var(--bar)"/>'] if zero > 0 else []
    parts.append(f'<rect x="{zero:.2f}" width="{100 - zero:.2f}" height="10" fill="url(#colours)"/>')
    words = ""
    share, times, _ = cut.partition(" × max")
    if times:
        at = zero + (100 - zero) * float(share)
        parts.append(f'<rect x="{at - 0.5:.2f}" width="1" height="10" fill="#fff" stroke="#08080A" stroke-width=".3"/>')
        words = f"<span>threshold {_number(float(share) * peak)}</span>"
    elif cut:
        words = f"<span>{_text(cut)}</span>"
    first = _number(low) if below else "0"
    bar = f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    return f'<div class="scale">{bar}<div><span>{first}</span>{words}<span>{_number(peak)}</span></div></div>'


def _path(mask: BoolMask, side: int, limit: int) -> str:
    """Return the outlines of a mask in image pixels, as exact as a picture of `side` pixels shows them.

    Of a mask with very many outlines the smallest are left out, until the text has at most `limit` characters.
    """
    height, width = mask.shape
    scale = min(1.0, 2 * side / max(width, height, 1))
    small = mask.astype(np.uint8)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = (cv2.resize(small * 255, size, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)
    found, _ = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    across, down = width / small.shape[1], height / small.shape[0]
    digits = 1 if max(width, height) < 1000 else 0
    parts: list[str] = []
    length = 0
    for contour in sorted(found, key=len, reverse=True):
        room = limit - length
        text = ""
        for coarseness in (0.7, 1.5, 3.0):
            points = cv2.approxPolyDP(contour, coarseness, True)[:, 0, :]
            text = (
                "M"
                + " ".join(f"{(x + 0.5) * across:.{digits}f},{(y + 0.5) * down:.{digits}f}" for x, y in points)
                + "Z"
            )
            if len(text) <= room:
                break
        if len(text) > room and parts:
            break
        if len(points) > 1:
            parts.append(text)
            length += len(text)
    return "".join(parts)
