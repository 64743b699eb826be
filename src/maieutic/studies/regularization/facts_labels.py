"""Exact labels of facts documents: what each token is, from how the text was made.

Labels (all ``[document, position]``): ``token``, ``previous`` (token), ``category`` and ``next-category``, ``role``,
``next-role``, ``kind`` of sentence, ``relation``, ``template`` (``relation/number``), ``topic`` of the document, ``depth`` in
brackets (a bracket has the depth that it opens or closes), ``assertion`` (``right`` or ``wrong`` inside a claim), ``subject``
(from the subject's last word to the end of the sentence), ``place`` in the sentence.

What this module does not do: guess. A label that a reader could not know yet (``next-*``, ``template`` at the first word) is
still what the text has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maieutic.studies.regularization import facts_text as text
from maieutic.studies.regularization import facts_words as words
from maieutic.studies.regularization.documents import Ids, Label
from maieutic.studies.regularization.facts_world import World

_PLACES = 12


def label_documents(
    made: Sequence[tuple[str, list[text.Sentence]]], ids: Ids, *, world: World, table: dict[str, tuple[str, ...]]
) -> dict[str, Label]:
    """Labels of documents, from their sentences.

    Args:
        made: topic and sentences of each. ids: their tokens, ``[document, context + 1]``.
        world: what is true. table: the vocabulary by category.
    """
    context = ids.shape[1] - 1
    tokens = tuple(w for row in table.values() for w in row)
    category = np.repeat(np.arange(len(table)), [len(row) for row in table.values()])[ids]
    columns = _columns(made, context + 1)
    relations = ("none", *dict.fromkeys([*(r.name for r in words.RELATIONS), *_OTHERS]))
    templates = ("none", *(f"{r}/{n}" for r in relations[1:] for n in range(4)))
    subjects = ("none", *(" ".join(s) for s in world.subjects))
    topics = tuple(words.TOPICS)
    template = [
        [0 if not r else templates.index(f"{r}/{n}") for r, n in zip(rows, numbers, strict=True)]
        for rows, numbers in zip(columns["relation"], columns["template"], strict=True)
    ]
    relation = [[relations.index(r) if r else 0 for r in row] for row in columns["relation"]]
    role = np.array(columns["role"], np.int64)
    kinds = tuple(text.KINDS)

    def label(values: object, names: tuple[str, ...]) -> Label:
        return Label(values=np.asarray(values, np.int64)[:, :context], names=names)

    topic = np.repeat([[topics.index(t)] for t, _ in made], context, axis=1)
    return {
        "token": label(ids, tokens),
        "previous": label(np.concatenate([np.zeros_like(ids[:, :1]), ids[:, :-1]], axis=1), ("none", *tokens[1:])),
        "category": label(category, tuple(table)),
        "next-category": label(category[:, 1:], tuple(table)),
        "role": label(role, text.ROLES),
        "next-role": label(role[:, 1:], text.ROLES),
        "kind": label([[kinds.index(k) for k in row] for row in columns["kind"]], kinds),
        "relation": label(relation, relations),
        "template": label(template, templates),
        "topic": label(topic, topics),
        "depth": label(_depth(ids, table), tuple(map(str, range(text.DEPTH + 1)))),
        "assertion": label(columns["assertion"], text.ASSERTIONS),
        "subject": label(np.array(columns["subject"], np.int64) + 1, subjects),
        "place": label(np.minimum(np.array(columns["place"]), _PLACES - 1), tuple(map(str, range(_PLACES)))),
    }


_OTHERS = ("private", "register", "land", "town-land", "resident", "association")


def _columns(made: Sequence[tuple[str, list[text.Sentence]]], length: int) -> dict[str, list[list[Any]]]:
    """By property a row per document, cut to its length."""
    found: dict[str, list[list[Any]]] = {
        k: [] for k in ("role", "kind", "relation", "template", "assertion", "subject", "place")
    }
    for _, sentences in made:
        rows: dict[str, list[Any]] = {k: [] for k in found}
        for s in sentences:
            size = len(s.ids)
            rows["role"] += s.roles
            rows["kind"] += [s.kind] * size
            rows["relation"] += [s.relation] * size
            rows["template"] += [s.template] * size
            rows["assertion"] += [s.assertion] * s.claimed + [0] * (size - s.claimed)
            rows["subject"] += _subject(s)
            rows["place"] += range(size)
        for k, row in rows.items():
            found[k].append(row[:length])
    return found


def _subject(sentence: text.Sentence) -> list[int]:
    """Whom each token is about: from the word that makes it clear (the last name) to the end of the sentence."""
    if sentence.subject < 0 or 2 not in sentence.roles:
        return [-1] * len(sentence.ids)
    known = sentence.roles.index(2)
    return [-1] * known + [sentence.subject] * (len(sentence.ids) - known)


def _depth(ids: Ids, table: dict[str, tuple[str, ...]]) -> Ids:
    """Brackets open at each token, counting the one that it opens or closes."""
    names = [c for c, row in table.items() for _ in row]
    opening = np.isin(ids, [n for n, c in enumerate(names) if c == "opening"])
    closing = np.isin(ids, [n for n, c in enumerate(names) if c == "closing"])
    return np.cumsum(opening, axis=1) - np.cumsum(closing, axis=1) + closing
