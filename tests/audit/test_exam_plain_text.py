"""Normalised text: nothing invisible, no markup, one spelling, and what people wrote left as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.audit.plain_text import normalised


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("plain words, 3 of them.", "plain words, 3 of them."),
        ("a\u200bb\u200c\u2060\ufeffc", "abc"),  # zero width
        ("soft\u00adhyphen", "softhyphen"),
        ("\uff21\uff22\uff23 \ufb01ne", "ABC fine"),  # full width, ligature
        ("a\u202eb\u202c", "ab"),  # changes of direction
        ("x\ufe0fy\U000e0100z", "xyz"),  # variation selectors
        ("\U000e0068\U000e0069 hi", "hi"),  # tag characters
        ("a\u3164b", "ab"),  # a letter by category, and yet blank
        ("seen <!-- hidden --> text", "seen text"),
        ("open <!-- hidden for good", "open"),
        ('<b>bold</b> <span style="display:none">x</span>', "bold x"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),  # escaped markup is markup
        ("<\u200b!-- hidden -->x", "x"),  # and so is markup that was split
        ("**strong** and `code`", "strong and code"),
        ("[words](http://x.y 'z') ![picture](p.png)", "words picture"),
        ("# Heading\ntext", "Heading text"),
        ("a < b and b > a", "a < b and b > a"),
        ('words ending in "-ing" or __init__', 'words ending in "-ing" or init'),
        ("the token \"*\"", 'the token "*"'),
        ("", ""),
    ],
)  # fmt: skip
def test_normalised_by_hand(written: str, read: str) -> None:
    assert normalised(written) == read


@given(st.text(max_size=60))
def test_normalised_twice_is_once(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


@given(st.text(alphabet="abcdefghij ,.", max_size=40), st.data())
def test_invisible_characters_change_nothing(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    mark = data.draw(st.sampled_from("\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e\ufe00"))
    assert normalised(text[:at] + mark + text[at:]) == normalised(text)
