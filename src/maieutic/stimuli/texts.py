"""Text stimuli and corpora: from documents to grouped, split windows of a chosen number.

A document is (name, text, tags, source). Choosing a number of windows takes them in rounds over documents put in hash
order, so that every document gives about equally many, neighbours in a document stay in order, and one corpus size is
a subset of the next. What this module does not do: read files or packages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.grouping import grouped, text_groups
from maieutic.stimuli.windows import LENGTH, windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text with its name (unique), free labels, and its key into the corpus' attribution."""

    name: str
    text: str
    tags: tuple[str, ...] = ()
    source: str = ""


def text_id(text: str) -> str:
    """Content digest of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_stimulus(
    text: str, *, group: str = "", tags: tuple[str, ...] = (), source: str = "", like: Stimulus | None = None
) -> Stimulus:
    """A text as a stimulus; with ``like``, everything but the text (group, split, tags) is that stimulus' own."""
    if like is not None:
        return Stimulus(
            id=text_id(text),
            modality="text",
            load=lambda: text,
            group=like.group,
            split=like.split,
            tags=like.tags,
            source=like.source,
        )
    return Stimulus(id=text_id(text), modality="text", load=lambda: text, group=group, tags=tags, source=source)


def cut(documents: Iterable[Document], *, length: int | None = LENGTH) -> list[tuple[Document, str]]:
    """Every window with its document, in order; ``length=None`` leaves documents whole."""
    pairs: list[tuple[Document, str]] = []
    for document in documents:
        if length is None:
            pairs += [(document, document.text)] if document.text.strip() else []
        else:
            pairs += [(document, w.text) for w in windows(document.text, length=length)]
    return pairs


def choose(pairs: Sequence[tuple[Document, str]], size: int | None, *, characters: int | None = None) -> list[int]:
    """Positions of the chosen windows, in order: at most ``size`` windows, or about ``characters`` characters.

    Round r takes the window of rank r (by hash) of every document, documents in hash order.
    """
    by_document: dict[str, list[int]] = {}
    for i, (document, _) in enumerate(pairs):
        by_document.setdefault(document.name, []).append(i)
    dealt: list[tuple[int, str, int]] = []
    for name, positions in by_document.items():
        order = sorted(positions, key=lambda i: _rank(f"{name}|{pairs[i][1]}"))
        dealt += [(round_, _rank(name), i) for round_, i in enumerate(order)]
    dealt.sort()
    chosen: list[int] = []
    used = 0
    for _, _, i in dealt:
        if (size is not None and len(chosen) >= size) or (characters is not None and used >= characters):
            break
        chosen.append(i)
        used += len(pairs[i][1])
    return sorted(chosen)


def _rank(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_corpus(
    name: str,
    pairs: Sequence[tuple[Document, str]],
    *,
    attribution: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    mixed: bool = False,
) -> Corpus:
    """Group near-duplicates, split, and make the corpus.

    Args:
        name: of the corpus.
        pairs: windows with their documents.
        attribution: source key → licence and origin.
        notes: what the user should know.
        mixed: put the windows in hash order, so that any first part of the corpus is a fair sample of it.
    """
    if mixed:
        pairs = sorted(pairs, key=lambda pair: text_id(pair[1]))
    texts = [text for _, text in pairs]
    documents = [document.name for document, _ in pairs]
    groups = text_groups(texts, documents)
    stimuli = [text_stimulus(text, tags=document.tags, source=document.source) for document, text in pairs]
    final, more = grouped(stimuli, groups)
    return Corpus(name=name, modality="text", stimuli=final, attribution=dict(attribution or {}), notes=(*notes, *more))
