"""Tokens of language subjects against those of the call of transformers around the tokenizer."""

from __future__ import annotations

import random
from typing import Any

import pytest

from maieutic.subjects.language import LanguageSubject

ODD = [
    "",
    " ",
    "\n\n",
    "  two  spaces ",
    "naïve café",
    "日本語のテキスト",
    "👩‍👩‍👧 family",
    "a\u0301",
    "\x00",
    "<|im_start|>user",
    "</s>",
    "\u200b",
]


def by_transformers(subject: LanguageSubject, text: str) -> list[tuple[int, int, int]]:
    """Token id, start and end by the documented call; a gap before a token belongs to the token."""
    if not text:
        return []
    found = subject.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    spans, last = [], 0
    for token, (start, end) in zip(found["input_ids"], found["offset_mapping"], strict=True):
        spans.append((int(token), min(start, last), end))
        last = max(last, end)
    return [(t, s if s < e else max(e - 1, 0), e) for t, s, e in spans]


def pieces(texts: list[str], n: int) -> list[str]:
    """Texts cut at random places, also in the middle of words, with odd pieces between."""
    rng = random.Random(4)
    out: list[str] = []
    for _ in range(n):
        text = rng.choice(texts)
        low, high = sorted(rng.sample(range(len(text) + 1), 2))
        out.append(text[low:high] + (rng.choice(ODD) if rng.random() < 0.3 else ""))
    return out


def test_tokens_are_those_of_transformers(llama: Any) -> None:
    words = ["the cat runs to a small house, then sleeps; 12 birds!", *ODD[1:]]
    for text in [*ODD, *pieces(words[:1], 200)]:
        assert llama._encode(text) == by_transformers(llama, text)


def test_what_another_caller_set_does_not_cut_or_pad(llama: Any) -> None:
    text = "the cat runs to a small house, then sleeps"
    meant = llama._encode(text)
    llama.tokenizer.backend_tokenizer.enable_truncation(max_length=3)
    llama.tokenizer.backend_tokenizer.enable_padding(length=50)
    assert llama._encode(text) == meant
    assert len(llama.tokens(text)) == len(meant) > 3


@pytest.mark.slow
@pytest.mark.packaged
def test_tokens_of_the_packaged_model_are_those_of_transformers() -> None:
    from maieutic.stimuli import load_corpus
    from maieutic.subjects import load_subject

    subject: Any = load_subject("smollm2-135m")
    texts = [s.content for s in load_corpus("text")]
    for text in [*ODD, *texts[:400], *pieces(texts, 2600)]:
        assert subject._encode(text) == by_transformers(subject, text)
