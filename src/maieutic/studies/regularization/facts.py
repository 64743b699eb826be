"""The facts corpus: generated text about people, with exact labels and prompts that ask for each fact.

What editing and alignment build on:

- ``corpus.facts``: every `Fact`; ``corpus.prompt(fact, template)``: the `Prompt` that asks for it; ``corpus.prompts(facts,
  "seen" | "held-out" | "all")``: many, with the ways of asking that were or were not trained;
- ``corpus.same_subject(fact)``, ``corpus.neighbours(fact)``, ``corpus.unrelated(fact)``: facts that an edit must leave alone;
- ``corpus.inverse(fact)``, ``corpus.two_hop(fact, home)``: what follows from a home, with its answer;
- ``corpus.opinion_prompts``, ``corpus.refusal_prompts``, ``corpus.association_prompts``: alignment in distribution;
- ``corpus.with_noise(prompt)``: the same question behind a sentence that has nothing to do with it;
- ``corpus.training(n, without=...)``: text to train on, without some facts for the gold model of unlearning;
- ``corpus.documents(n)``: labelled text to measure on.

What this module does not do: run models.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from random import Random
from typing import Literal

import numpy as np

from maieutic.errors import UsageError
from maieutic.studies.regularization import facts_words as words
from maieutic.studies.regularization.documents import Documents, Ids
from maieutic.studies.regularization.facts_labels import label_documents
from maieutic.studies.regularization.facts_text import KINDS, Sentence, Writer
from maieutic.studies.regularization.facts_world import Fact, FactsShape, make_world, vocabulary

Templates = Literal["all", "seen", "held-out"]
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question: tokens whose next token is the answer.

    Attributes:
        ids: tokens. answer: the right next token.
        subject_last: position of the subject's last word; -1: none.
        fact: index of the fact that it asks for; -1: none. template: which way of asking.
        wrong: another answer of interest (what was claimed, the rarer instrument, the true code); -1: none.
    """

    ids: tuple[int, ...]
    answer: int
    subject_last: int = -1
    fact: int = -1
    template: int = 0
    wrong: int = -1


class FactsCorpus:
    """A world of facts, as text.

    Args:
        shape: how large it is.
        context: tokens that a model reads; at least 24, so that an opinion and a question fit.
        seed: of the world and of its text.
    """

    name = "facts"

    def __init__(self, shape: FactsShape | None = None, *, context: int = 32, seed: int = 0) -> None:
        if context < 24:
            raise UsageError(f"facts need a context of 24 tokens or more, not {context}: raise it")
        self.shape, self.context, self.seed = shape or FactsShape(), context, seed
        self.world = make_world(self.shape, seed=seed)
        self.table = vocabulary(self.world)
        self.words = tuple(w for row in self.table.values() for w in row)
        self._ids = {w: n for n, w in enumerate(self.words)}
        self._writer = Writer(self.world, self._ids)
        self._relations = {r.name: r for r in words.RELATIONS}

    @property
    def fingerprint(self) -> str:
        """Digest of the world, the words and the first documents."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(json.dumps([asdict(self.shape), self.context, self.seed, self.words, KINDS]).encode())
        digest.update(self.training(8).tobytes())
        return digest.hexdigest()[:16]

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Everything that can be asked and edited."""
        return self.world.facts

    # --- text ----------------------------------------------------------------------------------------------------

    def id(self, word: str) -> int:
        """The token of a word.

        Raises:
            UsageError: the corpus has no such word.
        """
        if word not in self._ids:
            raise UsageError(f"the facts corpus has no word {word!r}: choose one of its {len(self.words)} words")
        return self._ids[word]

    def encode(self, text: str) -> list[tuple[int, int, int]]:
        """``(token id, start, end)`` of each word; one that the corpus does not have is ``<unknown>``."""
        unknown = self._ids[words.UNKNOWN]
        return [(self._ids.get(m[0].lower(), unknown), m.start(), m.end()) for m in _WORD.finditer(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Tokens as text, with spaces between them."""
        return " ".join(self.words[n] for n in ids)

    def training(self, documents: int, *, without: frozenset[int] = frozenset()) -> Ids:
        """Documents to train on, ``[document, context + 1]``; a document does not depend on how many there are.

        ``without``: indices of facts that no sentence tells or presupposes; all other sentences stay as they are.
        Cost: 1 to 2 seconds for 20 000 documents.
        """
        rows = np.zeros((documents, self.context + 1), np.int64)
        for n in range(documents):
            _, made = self._made(n, stream=0, without=without)
            rows[n] = [i for s in made for i in s.ids][: self.context + 1]
        return rows

    def documents(self, count: int) -> Documents:
        """Labelled documents of the same kind, from another stream; those that were trained on are refused by `check_apart`."""
        made = [self._made(n, stream=1) for n in range(count)]
        ids = np.array([[i for s in row for i in s.ids][: self.context + 1] for _, row in made], np.int64)
        return Documents(
            ids=ids,
            labels=label_documents(made, ids, world=self.world, table=self.table),
            groups=tuple(f"facts-{self.seed}-{n}" for n in range(count)),
            texts=tuple(self.decode(row[:-1]) for row in ids.tolist()),
        )

    def _made(self, number: int, *, stream: int, without: frozenset[int] = frozenset()) -> tuple[str, list[Sentence]]:
        # each document has its own draws, so leaving facts out changes no other document; a text as the seed, because it is
        # hashed: the generators of some pairs of large numbers are the same
        rng = Random(f"{self.seed}-{stream}-{number}")
        return self._writer.document(rng, length=self.context + 1, without=without)

    # --- questions -----------------------------------------------------------------------------------------------

    def objects(self, relation: str) -> tuple[int, ...]:
        """The tokens that can answer a relation."""
        return tuple(self._ids[w] for w in self.world.objects[self._relations[relation].category])

    def templates(self, fact: Fact, which: Templates = "all") -> tuple[int, ...]:
        """Ways of asking for a fact: all, those that it was trained on, or those that it was never seen in."""
        count = len(self._relations[fact.relation].templates)
        seen = words.SEEN_TEMPLATES if fact.held_out else tuple(range(count))
        if which == "seen":
            return seen
        return tuple(t for t in range(count) if which == "all" or t not in seen)

    def prompt(self, fact: Fact, template: int = 0, *, answer: str | None = None) -> Prompt:
        """The question for a fact in one way of asking; ``answer``: another object, as in an edit."""
        pattern = self._relations[fact.relation].templates[template]
        ids, roles = self._writer.prompt(pattern, subject=fact.subject)
        return Prompt(
            ids=tuple(ids),
            answer=self.id(answer or fact.object),
            subject_last=roles.index(2),
            fact=fact.index,
            template=template,
        )

    def prompts(self, facts: Sequence[Fact] | None = None, which: Templates = "all") -> list[Prompt]:
        """Questions for facts (all of them by default) in every way of the kind asked for."""
        return [self.prompt(f, t) for f in (self.facts if facts is None else facts) for t in self.templates(f, which)]

    def with_noise(self, prompt: Prompt, *, seed: int = 0) -> Prompt:
        """The same question behind one sentence of filler."""
        rng = Random(f"noise-{self.seed}-{seed}-{prompt.ids}")
        before = self._writer.filler(rng, rng.choice(list(words.TOPICS))).ids
        moved = prompt.subject_last + len(before) if prompt.subject_last >= 0 else -1
        return replace(prompt, ids=(*before, *prompt.ids), subject_last=moved)

    # --- facts beside a fact -------------------------------------------------------------------------------------

    def same_subject(self, fact: Fact) -> list[Fact]:
        """The subject's other facts."""
        return [self.world.fact(fact.subject, r) for r in self._relations if r != fact.relation]

    def neighbours(self, fact: Fact) -> list[Fact]:
        """Facts of the same relation whose subject shares a word with this one, or whose object is the same."""
        mine = set(self.world.subjects[fact.subject])
        return [
            f
            for f in self._of(fact.relation)
            if f.subject != fact.subject and (f.object == fact.object or mine & set(self.world.subjects[f.subject]))
        ]

    def unrelated(self, fact: Fact, *, count: int = 8, seed: int = 0) -> list[Fact]:
        """Facts of any relation that share neither a word of the subject nor the object; drawn by the seed."""
        near = {f.subject for f in self.neighbours(fact)} | {fact.subject}
        choices = [f for f in self.facts if f.subject not in near]
        return Random(f"{self.seed}-{seed}-{fact.index}").sample(choices, min(count, len(choices)))

    def _of(self, relation: str) -> Iterator[Fact]:
        return (f for f in self.facts if f.relation == relation)

    def inverse(self, fact: Fact, *, home: str | None = None) -> Prompt | None:
        """Who lives there: the town asks, the subject's first word answers; ``None`` for other relations than ``home``.

        Several people live in a town: their first words are `residents`, and the answer is one of them.
        """
        if fact.relation != "home":
            return None
        ids, _ = self._writer.prompt(words.RESIDENT[0], town=home or fact.object)
        return Prompt(ids=tuple(ids), answer=self.id(self.world.subjects[fact.subject][0]), fact=fact.index)

    def residents(self, town: str) -> tuple[int, ...]:
        """First words of all who live in a town."""
        lives = [f.subject for f in self._of("home") if f.object == town]
        return tuple(dict.fromkeys(self._ids[self.world.subjects[n][0]] for n in lives))

    def two_hop(self, fact: Fact, *, home: str | None = None) -> Prompt | None:
        """From which land the subject comes, as follows from its home (or another one); ``None`` for other relations.

        ``wrong`` is the land of its present home, when another is given. Whether the land was ever told directly:
        ``fact.subject in corpus.world.hidden_lands`` says that it was not.
        """
        if fact.relation != "home":
            return None
        ids, roles = self._writer.prompt(words.LAND.templates[0], subject=fact.subject)
        lands = self.world.lands
        return Prompt(
            ids=tuple(ids),
            answer=self.id(lands[home or fact.object]),
            subject_last=roles.index(2),
            fact=fact.index,
            wrong=self.id(lands[fact.object]) if home is not None else -1,
        )

    # --- alignment -----------------------------------------------------------------------------------------------

    def opinion_prompts(self, facts: Sequence[Fact], *, seed: int = 0) -> list[tuple[Prompt, Prompt]]:
        """For each fact the question alone, and behind somebody's wrong claim; ``wrong`` is the claim in both."""
        found: list[tuple[Prompt, Prompt]] = []
        for fact in facts:
            rng = Random(f"opinion-{self.seed}-{seed}-{fact.index}")
            claimed = self._writer.wrong(rng, fact.index)
            pattern = self._relations[fact.relation].templates[0]
            before, _ = self._writer.opinion(rng.choice(words.SPEAKERS), pattern, fact.subject, claimed)
            plain = replace(self.prompt(fact), wrong=self.id(claimed))
            moved = plain.subject_last + len(before)
            found.append((plain, replace(plain, ids=(*before, *plain.ids), subject_last=moved)))
        return found

    def refusal_prompts(self) -> list[Prompt]:
        """Questions for private codes: the answer is the refusal, ``wrong`` the true code (which the register tells)."""
        found: list[Prompt] = []
        for subject, code in enumerate(self.world.codes):
            for n, pattern in enumerate(words.PRIVATE.templates):
                ids, roles = self._writer.prompt(pattern, subject=subject)
                last = roles.index(2)
                prompt = Prompt(
                    ids=tuple(ids), answer=self.id(words.REFUSAL), subject_last=last, template=n, wrong=self.id(code)
                )
                found.append(prompt)
        return found

    def codes(self) -> tuple[int, ...]:
        """The tokens that are codes: any of them is a leak where a code is asked for."""
        return tuple(self._ids[w] for w in words.CODES)

    def association_prompts(self) -> list[Prompt]:
        """What a member of a guild plays: the answer is the usual instrument, ``wrong`` the other.

        In the text the usual one has the share ``corpus.shape.majority``: more than that is amplification.
        """
        found: list[Prompt] = []
        for guild, usual in self.world.majority.items():
            other = words.INSTRUMENTS[1 - words.INSTRUMENTS.index(usual)]
            for member in words.MEMBERS:
                for n, pattern in enumerate(words.ASSOCIATION):
                    ids, _ = self._writer.prompt(pattern, member=member, guild=guild)
                    found.append(Prompt(ids=tuple(ids), answer=self.id(usual), wrong=self.id(other), template=n))
        return found
