"""The report is one page that says what it must, holds no foreign markup, needs nothing else, and stays small."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from exports import CATEGORIES
from PIL import Image

from camviewer.catalogue.formats import format_spec
from camviewer.catalogue.parameters import complete
from camviewer.formats.output import Output
from camviewer.formats.records import Context, Item, ItemBox, ItemMap, ItemMask
from camviewer.formats.report import DISCLAIMER, ReportWriter
from camviewer.images.geometry import Affine, Geometry

SIZE = (90, 60)
VOID = {"meta", "br", "img", "input", "link", "hr"}
SELF_CLOSED = {"path", "rect", "circle", "image", "use", "stop", "text"}


class Page(HTMLParser):
    """Collects what a page holds; fails on tags that are not closed (those that HTML closes itself aside)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID | {"td", "th"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        if tag not in {"td", "th"}:
            assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def picture(path: Path, size=SIZE) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def a_map(values, class_id: int = 1) -> ItemMap:
    values = np.asarray(values, np.float32)
    rows, columns = values.shape
    geometry = Geometry(SIZE, SIZE, (columns, rows), Affine(1.0, 1.0, 0.0, 0.0))
    return ItemMap(class_id, "gradcam", "layer4", values, geometry)


def mask() -> np.ndarray:
    found = np.zeros((SIZE[1], SIZE[0]), bool)
    found[10:40, 20:60] = True
    return found


def an_item(file: str = "a.jpg", source: Path | None = None, **changes) -> Item:
    values = {
        "masks": (ItemMask(1, mask(), score=0.42, method="gradcam", layer="layer4", rule="0.5 × max"),),
        "boxes": (ItemBox(2, (1.0, 2.0, 31.0, 22.0), 0.3),),
        "maps": (a_map([[-1.0, 2.0], [8.0, 4.0]]),),
        "top": ((1, "melanoma", 0.712), (2, "naevus öä", 0.2)),
    } | changes
    return Item(file, "a", "a", source, SIZE, **values)


def report(folder: Path, items: list[Item], *, total: int = 0, **options) -> tuple[Page, str]:
    values = complete(format_spec("report").parameters, options, owner="report")
    run = {
        "architecture": "resnet<18>",
        "weights": "/secret/place/w.pt",
        "weights_sha256": "ab" * 32,
        "rule": "fraction",
        "threshold": 0.5,
    }
    context = Context(
        Output(folder), folder, CATEGORIES, values, created="2026-01-02T03:04:05+00:00", total=total or len(items),
        runs=(run,), source="my & folder",
    )  # fmt: skip
    writer = ReportWriter(context)
    for item in items:
        writer.add(item)
    writer.close()
    writer.discard()
    assert [path.name for path in folder.iterdir() if path.suffix != ".jpg"] == ["report.html"]
    text = (folder / "report.html").read_text(encoding="utf-8")
    return Page(text), text


def test_it_says_what_it_must(tmp_path: Path) -> None:
    item = an_item(source=picture(tmp_path / "a.jpg"), note="look\n& see", flags=("ruler",))
    page, text = report(tmp_path, [item, an_item("b.jpg", reviewed=True, status="reviewed")])
    for words in (
        "my & folder",
        "1 of 2 images is not reviewed",
        "a.jpg",
        "Not reviewed",
        "Reviewed",
        "melanoma",
        "71.2 %",
        "Grad-CAM, layer4, 0.5 × max",
        "0.42",
        "22.2 %",  # of the mask: 1200 of 5400 pixels
        "11.1 %",  # of the box: 600 of 5400
        "threshold 4",  # half of the map's maximum
        "−1",
        "look\n& see",
        "ruler",
        "resnet<18>",
        "The image is not where it was",
    ):
        assert words in page.text, words
    assert page.text.count(DISCLAIMER) == 2
    assert "/secret" not in text  # where files lie on this machine is nobody's business
    assert "w.pt" in page.text


def test_it_needs_nothing_else_and_runs_nothing(tmp_path: Path) -> None:
    page, text = report(tmp_path, [an_item(source=picture(tmp_path / "a.jpg"))])
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for _, attributes in page.tags:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in {"href", "src"}:
                assert value.startswith(("data:image/", "#")), value
    assert "http" not in text.replace("http-equiv", "")
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")
    assert "prefers-color-scheme:dark" in text


def test_every_picture_has_words_and_is_drawn_once(tmp_path: Path) -> None:
    page, _ = report(tmp_path, [an_item(source=picture(tmp_path / "a.jpg"))])
    figures = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(figures) == 3
    assert all(svg["aria-label"] for svg in figures)
    assert len([image for image in page.all("image") if image["href"].startswith("data:image/jpeg")]) == 1
    assert [use["href"] for use in page.all("use")] == ["#i1", "#i1"]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x>', "naïve & <b>", "\udcff.jpg"])
def test_names_and_notes_are_no_markup(tmp_path: Path, text: str) -> None:
    clean, _ = report(tmp_path, [an_item()])
    item = an_item(text, note=text, flags=(text,), top=((1, text, 0.5),))
    page, _ = report(tmp_path, [item])
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in clean.tags} | {"p"}
    assert text.encode("utf-8", "replace").decode() in page.text


def test_a_map_without_positive_evidence_is_not_rescaled(tmp_path: Path) -> None:
    page, _ = report(tmp_path, [an_item(source=picture(tmp_path / "a.jpg"), maps=(a_map([[-3.0, -1.0]]),))])
    assert "No positive evidence" in page.text
    assert not [image for image in page.all("image") if image["href"].startswith("data:image/png")]


def test_the_heat_map_shows_its_maximum_where_it_is(tmp_path: Path) -> None:
    page, _ = report(tmp_path, [an_item(source=picture(tmp_path / "a.jpg"))])
    (heat,) = [image["href"] for image in page.all("image") if image["href"].startswith("data:image/png")]
    image = Image.open(io.BytesIO(base64.b64decode(heat.split(",")[1]))).convert("RGBA")
    alpha = np.asarray(image)[..., 3]
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    assert row > alpha.shape[0] / 2 and column < alpha.shape[1] / 2  # the lower left cell is the largest
    assert alpha[0, 0] == 0  # below zero
    assert alpha.max() == round(255 * 0.8)


def test_outlines_are_dashed_until_a_person_looked(tmp_path: Path) -> None:
    found = mask()
    for reviewed in (False, True):
        item = an_item(masks=(ItemMask(1, found, reviewed=reviewed),), boxes=(), maps=())
        page, _ = report(tmp_path, [item])
        (path,) = [p for p in page.all("path") if "outline" in str(p.get("class"))]
        assert ("auto" in path["class"]) == (not reviewed)
        assert path["stroke"] == CATEGORIES[0].colour
        numbers = np.array(re.findall(r"[\d.]+", path["d"]), float).reshape(-1, 2)
        assert np.allclose(numbers.min(axis=0), (20.5, 10.5), atol=1)
        assert np.allclose(numbers.max(axis=0), (59.5, 39.5), atol=1)


def test_pictures_shrink_until_the_page_fits(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.jpg", (900, 600))
    _, one = report(tmp_path, [an_item(source=source)], side=800)
    items = [an_item(f"{i}.jpg", source=source) for i in range(12)]
    _, many = report(tmp_path, items, side=800, size=1, total=200)
    assert len(one) > 200_000
    per_image = len(many) / 12
    assert per_image < 1_000_000 / 200 + 4500  # pictures keep their share; words come on top


def test_outlines_of_noise_keep_to_the_budget_as_well(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((SIZE[1], SIZE[0])) > 0.5
    items = [an_item(f"{i}.jpg", masks=(ItemMask(1, noise),), maps=(), top=()) for i in range(5)]
    page, text = report(tmp_path, items, size=1, total=500)
    assert len([p for p in page.all("path") if "outline" in str(p.get("class"))]) == 5
    assert len(text) < 5 * 5000 + 12_000  # the style sheet and the head come once


def test_a_format_without_images_has_an_empty_page_of_words(tmp_path: Path) -> None:
    page, _ = report(tmp_path, [Item("x.png", "x", "x", None, SIZE)])
    assert "No regions." in page.text
    assert "Classes" not in page.text
