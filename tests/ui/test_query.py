"""The search grammar: every kind of term, its opposite, completion, and a sentence for what is none."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.errors import UsageError
from camviewer.ui.gallery.items import GalleryItem
from camviewer.ui.gallery.query import complete, parse
from camviewer.ui.gallery.traits import ALIASES, BY_KEY, TRAITS


def item(name: str = "ISIC_0024.jpg", **fields) -> GalleryItem:
    return GalleryItem(1, Path("/nowhere") / name, name, name, **fields)


HAIRY = item(
    status="computed",
    class_name="Basal cell carcinoma",
    probability=0.55,
    values={
        "area": 0.25, "flag": ("hair", "ruler"), "label": "mel", "wrong": 1.0, "edited": "2026-11-03T10:00:00+00:00",
    },
)  # fmt: skip
PLAIN = item("plain.png", status="reviewed")


@pytest.mark.parametrize(
    ("text", "hairy", "plain"),
    [
        ("", True, True),
        ("isic 24", True, False),
        ('"isic 24"', False, False),
        ("-isic", False, True),
        ("class:basal", True, False),
        ('class:"basal cell"', True, False),
        ("class:melanoma,basal", True, False),
        ("-class:basal", False, True),
        ("conf:<0.6", True, False),
        ("conf:<55%", False, False),
        ("conf:<=55%", True, False),
        ("conf:0.5..0.6", True, False),
        ("conf:.6", True, False),
        ("conf:0.55", True, False),
        ("conf:none", False, True),
        ("area:>20%", True, False),
        ("area:any", True, False),
        ("flag:hair", True, False),
        ("flag:gel,rul", True, False),
        ("flag:none", False, True),
        ("status:unreviewed", True, False),
        ("status:reviewed", False, True),
        ("STATUS:Reviewed", False, True),
        ("dx:mel", True, False),
        ("wrong:yes", True, False),
        ("wrong:no", False, True),
        ("edited:2026-11", True, False),
        ("edited:>=2026-11-03", True, False),
        ("edited:<2026-11-03", False, False),
        ("class:basal conf:<0.6 status:computed area:>20% flag:hair", True, False),
        ("class:basal conf:>0.6 status:computed", False, False),
    ],
)
def test_terms(text: str, hairy: bool, plain: bool) -> None:
    query = parse(text)
    assert (query.matches(HAIRY), query.matches(PLAIN)) == (hairy, plain)


def test_reviewed_is_not_found_in_unreviewed() -> None:
    assert not parse("status:reviewed").matches(item(status="new"))
    assert parse("status:unreviewed").matches(item(status="new"))


def test_today_is_today() -> None:
    today = item(values={"edited": f"{date.today().isoformat()}T01:00:00+00:00"})
    before = item(values={"edited": (date.today() - timedelta(days=1)).isoformat()})
    assert parse("edited:today").matches(today) and not parse("edited:today").matches(before)
    assert parse("edited:yesterday").matches(before)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clas:mel", "There is no clas. Is class meant?"),
        ("xyzzy:1", "There is no xyzzy."),
        ("conf:high", "conf is a number"),
        ("conf:", "What conf? For example conf:<0.6"),
        ("wrong:maybe", "wrong is yes or no"),
        ("edited:monday", "edited is a day"),
        ("conf:>0.2..0.4", "A range needs no sign"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert words in caught.value.message


@given(st.text(max_size=40))
def test_any_text_is_a_query_or_a_sentence(text: str) -> None:
    try:
        query = parse(text)
    except UsageError as error:
        assert error.message
        return
    assert query.matches(HAIRY) in (True, False)
    complete(text, [HAIRY, PLAIN])


@given(st.sampled_from(["class:basal", "conf:<0.6", "flag:hair", "isic", "wrong:yes", "label:none"]))
def test_a_minus_turns_a_term_round(text: str) -> None:
    for entry in (HAIRY, PLAIN):
        assert parse(text).matches(entry) != parse(f"-{text}").matches(entry)


def test_every_example_of_the_help_is_understood() -> None:
    for trait in TRAITS:
        parse(f"{trait.key}:{trait.example}")
    for word, key in ALIASES.items():
        parse(f"{word}:{BY_KEY[key].example}")


def test_completion_offers_keys_then_what_occurs_most_often_first() -> None:
    assert [whole for whole, _ in complete("conf:<0.6 cl", [HAIRY])] == ["conf:<0.6 class:"]
    items = [item(class_name="nevus"), item(class_name="nevus"), item(class_name="basal cell carcinoma")]
    assert complete("class:", items) == [
        ("class:nevus ", "2 images"),
        ('class:"basal cell carcinoma" ', "1 image"),
        ("class:none ", ""),
    ]
    assert [whole for whole, _ in complete("-flag:ha", [HAIRY])] == ["-flag:hair "]
    assert [whole for whole, _ in complete("flag:hair,r", [HAIRY])] == ["flag:hair,ruler "]
    assert {whole for whole, _ in complete("status:", [HAIRY, PLAIN])} >= {"status:unreviewed ", "status:reviewed "}
