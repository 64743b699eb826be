"""Read a label of an image unit that somebody else wrote: English text -> predicate, without a language model.

Read are: names of what the corpus' pictures are annotated with (any number, their synonyms, and words for kinds of them),
colours, textures and light, places, grounds, numbers, two things together, and exceptions. What cannot be read is left out
and named; a label of which nothing can be read has no predicate.

What this does not do: understand. Names that nobody annotated, actions, moods and styles are lost, so a low score of a
read label may be the reader's fault and not the label's.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from maieutic.explain.image_label_words import (
    BEFORE,
    COLOUR_WORDS,
    EMPTY,
    EXCEPT,
    FORMS,
    GENERAL,
    GROUND,
    LEAD,
    LOOKS,
    MANY,
    OR,
    PLACE,
    PLACES,
    RELATION,
    RELATIONS,
)
from maieutic.explain.predicates.base import And, Not, Or, Predicate, Scaled
from maieutic.explain.predicates.image import Colour, Count, Formed, Placed, Relation, Shows, plural, shown
from maieutic.explain.reading_labels import LabelReading
from maieutic.explain.views_image import shares_of
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.wordnet import open_wordnet

#: strength where a condition does not hold, of modifiers beside their noun, and of a wider kind than the word
_OUT_OF_CONTEXT, _MODIFIER, _WIDER = 0.3, 0.4, 0.6
#: words of a name at most, and how far up its kinds a word is followed
_LONGEST, _UP = 4, 4
#: things of which "many" are as many as that
_MANY = 3


def read_image_label(label: str, corpus: Corpus) -> LabelReading:
    """The executable form of a label about pictures, as far as it can be read. Deterministic; needs no model.

    Args:
        label: what somebody wrote.
        corpus: whose annotations say which names there are.
    """
    notes = _Notes(names=_vocabulary(corpus))
    text = EMPTY.sub(" ", LEAD.sub("", " ".join(label.replace("_", " ").split()))).strip(" .")
    head, minus = _cut(text, EXCEPT)
    predicate = _choices(head, notes)
    if predicate is not None and minus:
        without = _choices(minus, notes)
        predicate = predicate if without is None or without == predicate else And(parts=(predicate, Not(part=without)))
    return LabelReading(
        label=label,
        predicate=predicate,
        understood=() if predicate is None else tuple(dict.fromkeys(notes.used)),
        ignored=tuple(dict.fromkeys(notes.ignored)),
    )


@dataclass(kw_only=True)
class _Notes:
    """Names that are known (as they may be written -> concept), and what was used of a label and what was not."""

    names: Mapping[str, str]
    used: list[str] = field(default_factory=list[str])
    ignored: list[str] = field(default_factory=list[str])


_vocabularies: OrderedDict[str, Mapping[str, str]] = OrderedDict()


def _vocabulary(corpus: Corpus) -> Mapping[str, str]:
    """Every way to write a concept of the corpus -> the concept; the last two corpora are kept."""
    key = f"{corpus.name}:{corpus.fingerprint}"
    if key not in _vocabularies:
        concepts = sorted({c for s in corpus.stimuli for c in shares_of(s)})
        names: dict[str, str] = {}
        for concept in concepts:
            for written in (concept, concept.rpartition(":")[2] if ":" not in concept else concept, shown(concept)):
                names.setdefault(written.lower(), concept)
            if ":" not in concept:
                names.setdefault(plural(concept).lower(), concept)
        _vocabularies[key] = names
    _vocabularies.move_to_end(key)
    while len(_vocabularies) > 2:
        _vocabularies.popitem(last=False)
    return _vocabularies[key]


# --- parts of a label ----------------------------------------------------------------------------------------------


def _cut(text: str, at: re.Pattern[str]) -> tuple[str, str]:
    """The text before and after the first match that has something before it."""
    for match in at.finditer(text):
        if text[: match.start()].strip():
            return text[: match.start()].strip(" ,;("), text[match.end() :].strip(" ,;)")
    return text, ""


def _choices(text: str, notes: _Notes) -> Predicate | None:
    """Alternatives joined by ``and``, ``or`` and commas; the strongest counts."""
    whole = _named(text, notes)
    if whole is not None:  # "moth or butterfly" may be one concept
        return whole
    found = [p for piece in OR.split(text) if piece.strip() and (p := _phrase(piece, notes)) is not None]
    return _any(found)


def _any(found: list[Predicate]) -> Predicate | None:
    unique = list(dict.fromkeys(found))
    return None if not unique else unique[0] if len(unique) == 1 else Or(parts=tuple(unique))


def _named(text: str, notes: _Notes) -> Predicate | None:
    bare = re.sub(r"^(?:an?|the)\s+", "", text.strip(" .,").lower())
    if bare not in notes.names:
        return None
    notes.used.append(bare)
    return Shows(concept=notes.names[bare])


def _phrase(text: str, notes: _Notes) -> Predicate | None:
    """One phrase: a thing before a ground, two things together, or a thing with its looks."""
    before = BEFORE.search(text)
    if before is not None and text[: before.start()].strip():
        own, ground = _thing(text[: before.start()], notes), _ground(text[before.end() :], notes)
        return ground if own is None else own if ground is None else _where(own, ground)
    for match in RELATION.finditer(text):
        head, tail = text[: match.start()], text[match.end() :]
        if _concepts(head, notes) and _concepts(tail, notes):
            return _related(head, tail, RELATIONS[int(str(match.lastgroup)[1:])][1], notes)
    return _ground(text, notes) if GROUND.search(text) and not _concepts(text, notes) else _thing(text, notes)


def _where(own: Predicate, condition: Predicate) -> Predicate:
    """Wholly where the condition holds, less elsewhere."""
    return Or(parts=(And(parts=(own, condition)), Scaled(part=own, strength=_OUT_OF_CONTEXT)))


def _related(head: str, tail: str, relation: str, notes: _Notes) -> Predicate | None:
    a, b = _concepts(head, notes)[-1], _concepts(tail, notes)[-1]
    if not relation or a[2] != 1.0 or b[2] != 1.0:
        own, other = _thing(head, notes), _thing(tail, notes)
        return own if other is None else other if own is None else _where(own, other)
    notes.used += [a[0], relation, b[0]]
    return _where(Shows(concept=a[1]), Relation(a=a[1], relation=relation, b=b[1]))


def _ground(text: str, notes: _Notes) -> Predicate | None:
    """A ground by its colour, its light, or what the corpus calls it."""
    named = _named(text, notes)
    if named is not None:
        return named
    found: list[Predicate] = []
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in COLOUR_WORDS:
            notes.used.append(f"{word} background")
            found.append(Colour(name=COLOUR_WORDS[word], where="ground"))
    found += [
        Shows(concept=c) if s == 1.0 else Scaled(part=Shows(concept=c), strength=s)
        for _, c, s in _concepts(text, notes)
    ]
    return _any(found) if found else _look(text, notes)


def _thing(text: str, notes: _Notes) -> Predicate | None:
    """What is shown, with number, place, form and colour; without a thing, the looks alone."""
    names = _concepts(text, notes)
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower())
    said = {w for written, *_ in names for w in written.split()}
    colours = [COLOUR_WORDS[w] for w in words if w in COLOUR_WORDS and w not in said]
    if not names:
        return _looks_alone(text, colours, notes)
    notes.used += [written for written, *_ in names]
    notes.ignored += [w for w in words if w not in said and not _known(w)]
    concept, strength = names[-1][1], names[-1][2]
    own = _shaped(text, words, concept, notes)
    own = own if strength == 1.0 else Scaled(part=own, strength=strength)
    for colour in colours:
        notes.used.append(colour)
        own = _where(own, Colour(name=colour, where="things"))
    modifiers = [Scaled(part=Shows(concept=c), strength=_MODIFIER) for _, c, _ in names[:-1] if c != concept]
    return _any([own, *modifiers])


def _shaped(text: str, words: list[str], concept: str, notes: _Notes) -> Predicate:
    """The thing as it is counted, placed or formed."""
    own: Predicate = Shows(concept=concept)
    place = PLACE.search(text)
    if MANY.search(text):
        notes.used.append("many")
        return Count(concept=concept, full=_MANY)
    if place is not None:
        notes.used.append(place.group())
        where = PLACES[place["a"].lower()] if place["a"] else "centre"
        return _where(own, Placed(concept=concept, where=where))
    form = next((FORMS[w] for w in words if w in FORMS), None)
    if form is not None:
        notes.used.append(form)
        return _where(own, Formed(concept=concept, form=form))
    return own


def _looks_alone(text: str, colours: list[str], notes: _Notes) -> Predicate | None:
    place = PLACE.search(text)
    where = "things" if re.search(r"\b(?:things?|objects?)\b", text) else "whole"
    where = where if place is None else PLACES[place["a"].lower()] if place["a"] else "centre"
    found: list[Predicate] = [Colour(name=c, where=where) for c in colours]
    notes.used += colours
    look = _look(text, notes)
    found += [look] if look is not None else []
    if not found:
        notes.ignored += [w for w in re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()) if w not in GENERAL]
    return found[0] if len(found) == 1 else And(parts=tuple(found)) if found else None


def _look(text: str, notes: _Notes) -> Predicate | None:
    """A texture, light or form of the whole picture."""
    for pattern, predicate in LOOKS:
        match = re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
        if match is not None:
            notes.used.append(match.group())
            return predicate
    return None


def _known(word: str) -> bool:
    return word in GENERAL or word in COLOUR_WORDS or word in PLACES or word in FORMS or MANY.search(word) is not None


# --- names ---------------------------------------------------------------------------------------------------------


def _concepts(text: str, notes: _Notes) -> list[tuple[str, str, float]]:
    """(as written, concept, strength) of the names in a text, in order; the longest names first."""
    words = re.findall(r"[\w:'-]+", text.lower())
    found: list[tuple[str, str, float]] = []
    i = 0
    while i < len(words):
        for n in range(min(_LONGEST, len(words) - i), 0, -1):
            written = " ".join(words[i : i + n])
            hit = _concept(written, notes.names, single=n == 1)
            if hit is not None:
                found.append((written, *hit))
                i += n
                break
        else:
            i += 1
    return found


def _concept(written: str, names: Mapping[str, str], *, single: bool) -> tuple[str, float] | None:
    """The concept that a word or phrase names, and how surely: a synonym wholly, a wider kind for less."""
    if written in names:
        return names[written], 1.0
    if single and (_known(written) or len(written) < 3):
        return None
    lexicon = open_wordnet()
    senses = lexicon.concepts(written) if lexicon is not None else ()
    for depth, name in enumerate(senses[:_UP]):
        if name in names:
            return names[name], 1.0 if depth < 2 else _WIDER
    return None
